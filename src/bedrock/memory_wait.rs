//! Whether an attempt waits for memory of the gateway, for the time limit of the attempt.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether the first event of a call's current attempt waits for memory of the gateway. Bedrock is
/// not silent then: the gateway does not read. Cheap to clone. All clones share the same value.
#[derive(Clone, Debug, Default)]
pub struct MemoryWait(Arc<AtomicBool>);

impl MemoryWait {
    /// Returns whether the first event waits for memory.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Records whether the first event waits for memory.
    pub(crate) fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Relaxed);
    }
}
