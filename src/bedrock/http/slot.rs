//! A place in use on a connection, and what it tells the pool.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Whoever shares connections out, as connections see it.
pub(super) trait Owner: Send + Sync {
    /// There is room somewhere, or there may be.
    fn settle(self: Arc<Self>);

    /// The HTTP/2 connection with this number takes no more streams. Those that it carries go on.
    fn retire(self: Arc<Self>, id: u64);
}

/// Counts as load as long as it lives. Whoever waits for room gets it at its end.
pub(super) struct Slot {
    owner: Arc<dyn Owner>,
    load: Arc<AtomicUsize>,
}

impl Slot {
    pub(super) fn new(owner: Arc<dyn Owner>, load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self {
            owner,
            load: load.clone(),
        }
    }

    /// No new streams on this connection: it said or showed that it takes no more.
    pub(super) fn retire(&self, id: u64) {
        self.owner.clone().retire(id);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.owner.clone().settle();
    }
}
