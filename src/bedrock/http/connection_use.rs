//! Counts how many calls use a connection, and notifies the pool.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The interface of the pool for its connections.
pub(super) trait PoolHandle: Send + Sync {
    /// Assigns free room on connections to waiting calls.
    fn settle(self: Arc<Self>);

    /// Stops new streams on the HTTP/2 connection with this ID. Its open streams continue.
    fn retire(self: Arc<Self>, id: u64);
}

/// One use of a connection by a call. Dropping it makes room for a waiting call.
pub(super) struct ConnectionUse {
    owner: Arc<dyn PoolHandle>,
    load: Arc<AtomicUsize>,
}

impl ConnectionUse {
    pub(super) fn new(owner: Arc<dyn PoolHandle>, load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self {
            owner,
            load: load.clone(),
        }
    }

    /// Stops new streams on this connection.
    pub(super) fn retire(&self, id: u64) {
        self.owner.clone().retire(id);
    }
}

impl Drop for ConnectionUse {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.owner.clone().settle();
    }
}
