//! Measures the difference between Bedrock's clock and the machine's clock. Requests are signed
//! with Bedrock's time, because Bedrock rejects signatures whose time differs by more than 5
//! minutes.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

use aws_smithy_types::{DateTime, date_time::Format};

/// The maximum duration of a call from whose answer the time is measured. Longer calls are too
/// imprecise.
const LONGEST_CALL: Duration = Duration::from_secs(15 * 60);

/// The clock difference that one client has measured. It is measured as in the SDK, which does not
/// expose its own measurement.
#[derive(Debug)]
pub(super) struct ClockSkew {
    is_corrected: bool,
    /// The difference in milliseconds. Positive if Bedrock's clock is ahead.
    ahead: AtomicI64,
}

impl ClockSkew {
    /// Creates a clock without a measurement. If `is_corrected` is false, it never measures
    /// anything.
    pub(super) fn new(is_corrected: bool) -> Self {
        Self {
            is_corrected,
            ahead: AtomicI64::new(0),
        }
    }

    /// Returns the current time of Bedrock's clock.
    pub(super) fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        let ahead = self.ahead.load(Ordering::Relaxed);
        let difference = Duration::from_millis(ahead.unsigned_abs());
        let there = if ahead < 0 {
            now.checked_sub(difference)
        } else {
            now.checked_add(difference)
        };
        there.unwrap_or(now)
    }

    /// Measures the difference from the headers of an answer to a request that was sent at this
    /// time. `header` returns the value of a header.
    pub(super) fn measure<'a>(
        &self,
        sent: SystemTime,
        header: impl Fn(&'static str) -> Option<&'a str>,
    ) {
        // If the answer is from a cache, its date is old.
        if !self.is_corrected || header("age").is_some() {
            return;
        }
        let date = header("date")
            .and_then(|date| DateTime::from_str(date, Format::HttpDate).ok())
            .and_then(|date| SystemTime::try_from(date).ok());
        let elapsed = sent.elapsed().unwrap_or_default();
        let (Some(date), true) = (date, elapsed <= LONGEST_CALL) else {
            return;
        };
        let milliseconds =
            |difference: Duration| i64::try_from(difference.as_millis()).unwrap_or(i64::MAX);
        let ahead = match date.duration_since(sent + elapsed / 2) {
            Ok(ahead) => milliseconds(ahead),
            Err(behind) => -milliseconds(behind.duration()),
        };
        self.ahead.store(ahead, Ordering::Relaxed);
    }
}
