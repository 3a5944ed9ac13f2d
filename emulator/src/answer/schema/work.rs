//! How much work one value may take.

use std::cell::Cell;

/// How many more steps one value may take: some schemas would never end.
pub(super) struct Work(Cell<usize>);

impl Default for Work {
    fn default() -> Self {
        Self(Cell::new(10_000))
    }
}

impl Work {
    /// Takes a step; false if none is left.
    pub(super) fn step(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }

    /// Whether no step is left.
    pub(super) fn is_used_up(&self) -> bool {
        self.0.get() == 0
    }
}
