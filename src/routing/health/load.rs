//! How much a route has to do: open calls, and how long its first events take.

use std::time::Duration;

use tokio::time::Instant;

/// The share of a new time in the mean.
const NEW: f64 = 0.2;
/// A route that nobody calls is worth another look: what is known of its times fades to a third in so long.
const MEMORY: Duration = Duration::from_secs(4);
/// Times below this are all the same.
const FLOOR: f64 = 0.010;

#[derive(Debug, Default)]
pub(super) struct Load {
    open: u32,
    /// The mean time to the first event, in seconds, as it was at that moment.
    mean: Option<(f64, Instant)>,
}

impl Load {
    pub(super) fn begin(&mut self) {
        self.open = self.open.saturating_add(1);
    }

    pub(super) fn end(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    pub(super) fn open(&self) -> u32 {
        self.open
    }

    /// A first event came after this time. One that is slower than the mean counts at once: trouble should be seen early.
    pub(super) fn answers(&mut self, now: Instant, after: Duration) {
        let new = after.as_secs_f64();
        let mean = match self.mean_at(now) {
            Some(old) if new < old => old + (new - old) * NEW,
            Some(old) => old + (new - old) * (2.0 * NEW),
            None => new,
        };
        self.mean = Some((mean, now));
    }

    /// The open calls and one more, each as long as the mean: lower is better.
    pub(super) fn score(&self, now: Instant) -> f64 {
        f64::from(self.open + 1) * self.mean_at(now).unwrap_or_default().max(FLOOR)
    }

    fn mean_at(&self, now: Instant) -> Option<f64> {
        let (mean, then) = self.mean?;
        let age = now.saturating_duration_since(then).as_secs_f64();
        Some(mean * (-age / MEMORY.as_secs_f64()).exp())
    }
}
