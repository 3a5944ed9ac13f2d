//! What is known of a call before its message is read: when it arrived, its ID, and how long it may
//! take.

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use tokio::time::Instant;

use crate::{
    access::Identity,
    config::Limits,
    error::{Failure, Reason, Violation},
    telemetry::trace::TraceContext,
};

/// The header that carries a call's ID in and out.
pub(crate) const REQUEST_ID: &str = "x-request-id";
const TIMEOUT: &str = "grpc-timeout";
/// Longer IDs of callers are replaced.
const MAX_REQUEST_ID_CHARS: usize = 128;

/// What is known of a call before its message is read. A layer puts it into the request's
/// extensions.
#[derive(Clone, Debug)]
pub(crate) struct CallContext {
    /// The caller's `x-request-id`, or one that the gateway generated.
    pub(crate) request_id: Arc<str>,
    /// When the call's headers arrived: all of its clocks start here.
    pub(crate) arrived: Instant,
    /// The caller's `grpc-timeout`, or why it can't be read.
    pub(crate) timeout: Result<Option<Duration>, Failure>,
    /// The trace context of the call.
    pub(crate) trace: TraceContext,
    /// Who makes the call. `None` until it is known, and for calls that need no identity.
    pub(crate) caller: Option<Identity>,
}

impl CallContext {
    /// Reads the headers of a call that arrived just now.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        Self {
            request_id: request_id(headers),
            arrived: Instant::now(),
            timeout: timeout(headers),
            trace: TraceContext::of_call(headers),
            caller: None,
        }
    }
}

impl CallContext {
    /// When the call has to be over. A timeout that can't be read is refused later; until then the
    /// gateway's own applies. `cap` is the target's own longest deadline, if it has one.
    pub(crate) fn deadline(&self, limits: &Limits, cap: Option<Duration>) -> Instant {
        let timeout = match self.timeout {
            Ok(Some(timeout)) => timeout,
            Ok(None) | Err(_) => limits.default_deadline,
        };
        let cap = cap.unwrap_or(limits.max_deadline).min(limits.max_deadline);
        self.arrived + timeout.min(cap)
    }
}

fn request_id(headers: &HeaderMap) -> Arc<str> {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            !id.is_empty()
                && id.len() <= MAX_REQUEST_ID_CHARS
                && id.chars().all(|c| c.is_ascii_graphic())
        })
        .map_or_else(new_request_id, Arc::from)
}

/// 128 random bits in hexadecimal. It need not be a secret, only unlike the others.
fn new_request_id() -> Arc<str> {
    format!("{:032x}", fastrand::u128(..)).into()
}

/// `grpc-timeout`: at most 8 digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(|text| {
        let digits = text.len().checked_sub(1)?;
        let (number, unit) = (text.get(..digits)?, text.get(digits..)?);
        if number.is_empty() || number.len() > 8 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        Some(match unit {
            "H" => Duration::from_secs(number * 3_600),
            "M" => Duration::from_secs(number * 60),
            "S" => Duration::from_secs(number),
            "m" => Duration::from_millis(number),
            "u" => Duration::from_micros(number),
            "n" => Duration::from_nanos(number),
            _ => return None,
        })
    });
    parsed.map(Some).ok_or_else(|| {
        let mut failure = Failure::new(
            Reason::InvalidRequest,
            "grpc-timeout can't be read: at most 8 digits and one of H, M, S, m, u, n, such as 30S",
        );
        failure.violations.push(Violation {
            field: TIMEOUT.to_owned(),
            description: failure.message.clone(),
        });
        failure
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Option<Duration>> {
        let mut headers = HeaderMap::new();
        headers.insert(TIMEOUT, text.parse().unwrap());
        timeout(&headers).ok()
    }

    #[test]
    fn timeouts_follow_the_specification() {
        assert_eq!(read("1H"), Some(Some(Duration::from_secs(3_600))));
        assert_eq!(
            read("99999999n"),
            Some(Some(Duration::from_nanos(99_999_999)))
        );
        assert_eq!(read("0m"), Some(Some(Duration::ZERO)));
        for bad in ["", "S", "1", "1s", "-1S", "123456789S", "1.5S", "1 S", "é"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
