//! Limits the work that is done to generate one value.

use std::cell::Cell;

/// The number of steps that are left for one value. Without this limit, some schemas would take
/// forever.
pub(super) struct Work(Cell<usize>);

impl Default for Work {
    fn default() -> Self {
        Self(Cell::new(10_000))
    }
}

impl Work {
    /// Uses one step. Returns false if none is left.
    pub(super) fn step(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }

    /// Returns whether no step is left.
    pub(super) fn is_used_up(&self) -> bool {
        self.0.get() == 0
    }
}
