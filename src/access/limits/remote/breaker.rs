//! The circuit breaker of the store. After several consecutive failures, calls do not use the store
//! until a probe succeeds.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// The number of consecutive failures that open the circuit breaker.
const FAILURES: u32 = 5;

/// The circuit breaker.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    open: AtomicBool,
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Relaxed)
    }

    /// Records a failed step. Returns whether this opened the circuit breaker.
    pub(super) fn failed(&self) -> bool {
        self.failures.fetch_add(1, Relaxed) + 1 >= FAILURES && !self.open.swap(true, Relaxed)
    }

    /// Records a step that succeeded.
    pub(super) fn succeeded(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// Records that a probe has succeeded, or that there is a new connection. Returns whether this
    /// closed the circuit breaker.
    pub(super) fn close(&self) -> bool {
        self.failures.store(0, Relaxed);
        self.open.swap(false, Relaxed)
    }
}
