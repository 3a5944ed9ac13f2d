//! Limits how often log lines of the same kind are written.

use std::time::Duration;

use tokio::time::Instant;

/// The minimum time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts events of the same kind, and decides which of them are logged.
#[derive(Debug, Default)]
pub struct LogInterval {
    /// When the last line was written.
    last: Option<Instant>,
    /// The number of events since the last line.
    unlogged: u64,
}

impl LogInterval {
    /// Counts an event. If a line must be written now, returns the number of events that it
    /// reports.
    pub fn count(&mut self) -> Option<u64> {
        self.unlogged += 1;
        let now = Instant::now();
        if self.last.is_some_and(|last| now < last + INTERVAL) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_reports_all_events_since_the_last_one() {
        let mut interval = LogInterval::default();
        assert_eq!(interval.count(), Some(1));
        assert_eq!((interval.count(), interval.count()), (None, None));
        tokio::time::advance(INTERVAL).await;
        assert_eq!(interval.count(), Some(3));
        assert_eq!(interval.count(), None);
    }
}
