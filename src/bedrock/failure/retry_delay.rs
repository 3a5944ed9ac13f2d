//! Reads the retry delay from a response.

use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::http::Headers;
use aws_smithy_types::{DateTime, date_time::Format};

/// The maximum delay. Longer ones are ignored.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the delay in `x-amz-retry-after` (milliseconds), or else in `retry-after` (seconds or a
/// date).
pub(super) fn retry_after(headers: &Headers, now: SystemTime) -> Option<Duration> {
    let milliseconds = headers
        .get("x-amz-retry-after")
        .and_then(|value| value.trim().parse().ok());
    milliseconds
        .map(Duration::from_millis)
        .or_else(|| {
            headers
                .get("retry-after")
                .and_then(|value| seconds_or_date(value.trim(), now))
        })
        .filter(|wait| *wait <= LONGEST)
}

fn seconds_or_date(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = SystemTime::try_from(DateTime::from_str(value, Format::HttpDate).ok()?).ok()?;
    // A date in the past means no delay.
    Some(date.duration_since(now).unwrap_or_default())
}
