//! A place in use on a connection.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{Pool, http1};

/// Counts as load as long as it lives. Whoever waits for room gets it at its end.
pub(in crate::bedrock::http) struct Slot {
    pool: Arc<Pool>,
    load: Arc<AtomicUsize>,
}

impl Slot {
    pub(super) fn new(pool: &Arc<Pool>, load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self {
            pool: pool.clone(),
            load: load.clone(),
        }
    }

    /// Ends the exchange and leaves its connection for the next one.
    pub(in crate::bedrock::http) fn give_back(self, connection: http1::Connection) {
        self.pool.lock().keep(connection);
    }

    /// No new streams on this connection: it said or showed that it takes no more.
    pub(in crate::bedrock::http) fn retire(&self, id: u64) {
        self.pool.retire(id);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.pool.settle();
    }
}
