//! Implements Signature Version 4: parses the signature of a request, and compares it with the
//! signature that is computed with the key's secret.

use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4;
use http::{HeaderMap, request::Parts};
use time::{
    OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem,
    macros::format_description,
};

use super::{access_key::AccessKey, canonical};
use crate::error::WireError;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The value that replaces the payload's hash if the payload is not signed.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// The maximum difference between a signature's date and the current time.
const MAX_SKEW: Duration = Duration::from_secs(5 * 60);
const DATE: &[BorrowedFormatItem<'static>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
const UNKNOWN_KEY: &str = "The security token included in the request is invalid.";

/// The parts of an `authorization` header.
pub(super) struct Authorization<'a> {
    pub(super) access_key_id: &'a str,
    date: &'a str,
    pub(super) region: &'a str,
    service: &'a str,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    pub(super) fn parse(header: &'a str) -> Result<Self, WireError> {
        let incomplete = |what: String| WireError::denied("IncompleteSignatureException", what);
        let parameters = header.strip_prefix(ALGORITHM).ok_or_else(|| {
            incomplete(format!(
                "Unsupported AWS 'algorithm': give {ALGORITHM} or a bearer token."
            ))
        })?;
        let parameter = |name: &str| {
            let pairs = parameters
                .split(',')
                .filter_map(|pair| pair.trim().split_once('='));
            let mut found = pairs.filter(|(key, _)| *key == name);
            found.next().map(|(_, value)| value).ok_or_else(|| {
                incomplete(format!("Authorization header requires '{name}' parameter."))
            })
        };
        let credential = parameter("Credential")?;
        let scope: Vec<_> = credential.rsplitn(5, '/').collect();
        let [end, service, region, date, access_key_id] = scope[..] else {
            return Err(incomplete(format!(
                "Credential must have at least 5 slash-delimited elements, got '{credential}'."
            )));
        };
        if end != "aws4_request" {
            return Err(incomplete(
                "Credential should be scoped with a valid terminator: 'aws4_request'.".to_owned(),
            ));
        }
        Ok(Self {
            access_key_id,
            date,
            region,
            service,
            signed_headers: parameter("SignedHeaders")?.split(';').collect(),
            signature: parameter("Signature")?,
        })
    }
}

/// Checks the date, the key and the signature.
pub(super) fn check<'k>(
    keys: impl IntoIterator<Item = &'k AccessKey>,
    service: &str,
    authorization: &str,
    parts: &Parts,
    body: &[u8],
    now: SystemTime,
) -> Result<(), WireError> {
    let claim = Authorization::parse(authorization)?;
    let key = keys.into_iter().find(|key| {
        key.id == claim.access_key_id
            && key.session_token.as_deref() == text(&parts.headers, "x-amz-security-token")
    });
    let key = key.ok_or_else(|| WireError::denied("UnrecognizedClientException", UNKNOWN_KEY))?;
    let date = text(&parts.headers, "x-amz-date").unwrap_or_default();
    let signed_at = PrimitiveDateTime::parse(date, DATE).map_err(|_| {
        WireError::denied(
            "IncompleteSignatureException",
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
        )
    })?;
    check_date(signed_at.assume_utc(), now.into())?;
    if claim.service != service {
        let message = format!("Credential should be scoped to correct service: '{service}'.");
        return Err(WireError::denied("InvalidSignatureException", message));
    }
    let expected = date
        .starts_with(claim.date)
        .then(|| signature(key, &claim, parts, body, signed_at.assume_utc()))
        .flatten();
    if expected.is_some_and(|expected| expected == claim.signature) {
        Ok(())
    } else {
        Err(WireError::denied(
            "InvalidSignatureException",
            WRONG_SIGNATURE,
        ))
    }
}

fn check_date(signed_at: OffsetDateTime, now: OffsetDateTime) -> Result<(), WireError> {
    let show = |at: OffsetDateTime| {
        at.to_offset(time::UtcOffset::UTC)
            .format(DATE)
            .unwrap_or_default()
    };
    let (signed, server) = (show(signed_at), show(now));
    let message = if signed_at < now - MAX_SKEW {
        let earliest = show(now - MAX_SKEW);
        format!("Signature expired: {signed} is now earlier than {earliest} ({server} - 5 min.)")
    } else if signed_at > now + MAX_SKEW {
        let latest = show(now + MAX_SKEW);
        format!(
            "Signature not yet current: {signed} is still later than {latest} ({server} + 5 min.)"
        )
    } else {
        return Ok(());
    };
    Err(WireError::denied("InvalidSignatureException", message))
}

/// Returns the signature with this key. It covers exactly the headers that the request lists as
/// signed.
fn signature(
    key: &AccessKey,
    claim: &Authorization<'_>,
    parts: &Parts,
    body: &[u8],
    signed_at: OffsetDateTime,
) -> Option<String> {
    let hash = match text(&parts.headers, "x-amz-content-sha256") {
        Some(UNSIGNED) => UNSIGNED.to_owned(),
        _ => canonical::hash(body),
    };
    let request = canonical::request(parts, &claim.signed_headers, &hash)?;
    let date = signed_at.format(DATE).ok()?;
    let scope = format!(
        "{}/{}/{}/aws4_request",
        claim.date, claim.region, claim.service
    );
    let to_sign = format!(
        "{ALGORITHM}\n{date}\n{scope}\n{}",
        canonical::hash(request.as_bytes())
    );
    let signing_key =
        v4::generate_signing_key(&key.secret, signed_at.into(), claim.region, claim.service);
    Some(v4::calculate_signature(signing_key, to_sign.as_bytes()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
