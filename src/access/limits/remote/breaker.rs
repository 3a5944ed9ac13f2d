//! The circuit breaker: after some failures in a row, calls don't ask the store until a probe
//! succeeds.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// So many failures in a row open the circuit breaker.
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

    /// A step failed. Returns whether that opened it.
    pub(super) fn failed(&self) -> bool {
        self.failures.fetch_add(1, Relaxed) + 1 >= FAILURES && !self.open.swap(true, Relaxed)
    }

    /// A step succeeded.
    pub(super) fn succeeded(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// A probe succeeded, or there is a new connection. Returns whether that closed it.
    pub(super) fn close(&self) -> bool {
        self.failures.store(0, Relaxed);
        self.open.swap(false, Relaxed)
    }
}
