//! The difference between Bedrock's clock and the machine's. Requests are signed with Bedrock's
//! time, because it rejects signatures whose time differs by more than 5 minutes.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime},
};

use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::{DateTime, date_time::Format};

/// The longest call whose answer tells the time precisely enough.
const LONGEST_CALL: Duration = Duration::from_secs(15 * 60);

/// The difference that one client has measured. It follows the rules of the SDK, which does not
/// show what it has measured.
#[derive(Debug)]
pub(super) struct ClockSkew {
    is_corrected: bool,
    /// In milliseconds. Positive if Bedrock's clock is ahead.
    ahead: AtomicI64,
}

impl ClockSkew {
    /// Creates a clock that has measured nothing. Unless `is_corrected` is set, it never will.
    pub(super) fn new(is_corrected: bool) -> Self {
        Self {
            is_corrected,
            ahead: AtomicI64::new(0),
        }
    }

    /// Returns Bedrock's time.
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

    /// Reads Bedrock's time from the headers of an answer to a request that was sent at this time.
    pub(super) fn measure(&self, sent: SystemTime, headers: &Headers) {
        // The date of an answer from a cache is old.
        if !self.is_corrected || headers.get("age").is_some() {
            return;
        }
        let date = headers
            .get("date")
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
