//! Parses the header `grpc-timeout`.

use std::time::Duration;

use http::HeaderMap;

use crate::error::{Failure, Reason, Violation};

const TIMEOUT: &str = "grpc-timeout";

/// Returns the value of `grpc-timeout`. `None` if the header is absent. The value must have at most
/// 8 digits and a unit.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
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
            "invalid grpc-timeout: use at most 8 digits and one of H, M, S, m, u, n, such as 30S",
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
