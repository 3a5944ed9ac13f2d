//! Signals to work on another thread that its result is no longer needed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// A flag that work checks at intervals. Cheap to clone; all clones share the same flag.
#[derive(Clone, Debug, Default)]
pub struct Stop(Option<Arc<AtomicBool>>);

impl Stop {
    /// How much input, in bytes, work processes at most between two checks of the flag.
    pub const INTERVAL: usize = 64 << 10;

    /// Returns a flag that is never set, for short work.
    pub const fn never() -> Self {
        Self(None)
    }

    /// Returns a flag that can be set.
    pub fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// Sets the flag.
    pub fn set(&self) {
        if let Some(flag) = &self.0 {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// Returns whether the work should end.
    pub fn is_set(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}
