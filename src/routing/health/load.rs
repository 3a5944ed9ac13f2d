//! Measures the load of a route: its open calls, and its mean time to the first event.

use std::time::Duration;

use tokio::time::Instant;

/// The weight of a new value in the mean.
const NEW: f64 = 0.2;
/// The time constant of the mean. The mean falls to about a third in this time, so that a route
/// that is not called is tried again.
const MEMORY: Duration = Duration::from_secs(4);
/// Times below this value are treated as equal, in seconds.
const FLOOR: f64 = 0.010;

#[derive(Debug, Default)]
pub(super) struct RouteLoad {
    open: u32,
    /// The mean time to the first event in seconds, and the time at which it had this value.
    mean: Option<(f64, Instant)>,
}

impl RouteLoad {
    pub(super) fn begin(&mut self) {
        self.open = self.open.saturating_add(1);
    }

    pub(super) fn end(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    pub(super) fn open(&self) -> u32 {
        self.open
    }

    /// Adds the time to a first event. A value above the mean has twice the weight, so that
    /// problems have an effect early.
    pub(super) fn answers(&mut self, now: Instant, after: Duration) {
        let new = after.as_secs_f64();
        let mean = match self.mean_at(now) {
            Some(old) if new < old => old + (new - old) * NEW,
            Some(old) => old + (new - old) * (2.0 * NEW),
            None => new,
        };
        self.mean = Some((mean, now));
    }

    /// Returns the number of open calls plus one, multiplied by the mean time. Lower is better.
    pub(super) fn score(&self, now: Instant) -> f64 {
        f64::from(self.open + 1) * self.mean_at(now).unwrap_or_default().max(FLOOR)
    }

    fn mean_at(&self, now: Instant) -> Option<f64> {
        let (mean, then) = self.mean?;
        let age = now.saturating_duration_since(then).as_secs_f64();
        Some(mean * (-age / MEMORY.as_secs_f64()).exp())
    }
}
