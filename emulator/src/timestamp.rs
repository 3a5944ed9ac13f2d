//! Formats times as the API does.

use std::time::SystemTime;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Formats a time in ISO 8601 and UTC, with milliseconds, because lifetimes in tests are short.
pub(super) fn iso8601_millis(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let at = at.replace_nanosecond(u32::from(at.millisecond()) * 1_000_000);
    at.ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// Formats a time in ISO 8601 and UTC, to the second.
pub(super) fn iso8601(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let at = at.replace_nanosecond(0).unwrap_or(at);
    // Formatting can fail only for years of more than four digits.
    at.format(&Rfc3339).unwrap_or_default()
}
