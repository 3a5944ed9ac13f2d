//! A used stream slot on a connection, and its signals to the pool.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The owner of connections, from the view of a connection.
pub(super) trait Owner: Send + Sync {
    /// There is capacity somewhere, or there may be.
    fn settle(self: Arc<Self>);

    /// The HTTP/2 connection with this number accepts no more streams. Its open streams continue.
    fn retire(self: Arc<Self>, id: u64);
}

/// Counts as load while it lives. When it is dropped, a waiting call gets its capacity.
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

    /// Allows no new streams on this connection: it reported or showed that it accepts no more.
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
