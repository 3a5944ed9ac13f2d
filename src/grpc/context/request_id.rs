//! Determines the request ID of a call.

use std::sync::Arc;

use http::HeaderMap;

/// The header that carries a call's request ID in both directions.
pub(crate) const REQUEST_ID: &str = "x-request-id";
/// The maximum length of a caller's request ID. A longer one is replaced.
const MAX_CHARS: usize = 128;

/// Returns the caller's request ID, or a new one if it is absent, too long or not printable ASCII.
pub(super) fn request_id(headers: &HeaderMap) -> Arc<str> {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            !id.is_empty() && id.len() <= MAX_CHARS && id.chars().all(|c| c.is_ascii_graphic())
        })
        .map_or_else(new_request_id, Arc::from)
}

/// Returns 128 random bits in hexadecimal. The ID must be unique, but it is no secret.
fn new_request_id() -> Arc<str> {
    format!("{:032x}", fastrand::u128(..)).into()
}
