//! Reads tokens: some fields before the signature is checked, and the claims afterwards.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};

use crate::access::{claimed_caller::ClaimedCaller, rejection::Rejection};

/// The leeway for differences between the clocks of the issuer and this machine.
pub(super) const LEEWAY: Duration = Duration::from_secs(60);
/// The maximum number of groups that are read from a token.
const MAX_GROUPS: usize = 200;

/// The fields by which the key for a token is selected. They are read before the signature is
/// checked, so they are not trusted.
#[derive(Debug)]
pub(super) struct Unchecked {
    pub(super) issuer: String,
    pub(super) algorithm: String,
    pub(super) key_id: Option<String>,
}

/// The claims of a verified token, and how long the token is valid.
#[derive(Clone, Debug)]
pub(super) struct Valid {
    pub(super) claimed: Arc<ClaimedCaller>,
    pub(super) until: SystemTime,
    /// The generation of the keys with which the token was checked.
    pub(super) generation: u64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that the recipient must support. The gateway supports none, so tokens with
    /// extensions are refused.
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Payload {
    iss: Option<String>,
}

/// Returns whether a credential looks like a token: it has three parts, the first of which begins
/// like a JSON object in base64.
pub(super) fn is_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Unchecked {
    /// Reads the fields of a token.
    ///
    /// # Errors
    /// Fails if the text is not a signed token, or has no issuer.
    pub(super) fn read(token: &str) -> Result<Self, Rejection> {
        let mut parts = token.split('.');
        let header: Header = parse(parts.next()).ok_or(Rejection::Malformed)?;
        let payload: Payload = parse(parts.next()).ok_or(Rejection::Malformed)?;
        if header.crit.is_some() {
            return Err(Rejection::BadSignature);
        }
        Ok(Self {
            issuer: payload.iss.ok_or(Rejection::WrongAudience)?,
            algorithm: header.alg,
            key_id: header.kid,
        })
    }
}

fn parse<T: for<'a> Deserialize<'a>>(part: Option<&str>) -> Option<T> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part?).ok()?;
    serde_json::from_slice(&json).ok()
}

/// Returns the claim with this name, or the value at a path such as `realm_access.roles`. Names
/// take precedence, because issuers use URLs, which contain dots, as names.
pub(super) fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let (first, rest) = path.split_once('.')?;
        find(claims.get(first)?.as_object()?, rest)
    })
}

/// Returns the groups in a claim, which is a list of groups or a single group.
pub(super) fn groups(claim: Option<&Value>) -> Vec<Arc<str>> {
    match claim {
        Some(Value::String(one)) => vec![one.as_str().into()],
        Some(Value::Array(several)) => several
            .iter()
            .filter_map(Value::as_str)
            .take(MAX_GROUPS)
            .map(Into::into)
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns the audiences of a token.
pub(super) fn audiences(claims: &Map<String, Value>) -> Vec<Arc<str>> {
    match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str().into()],
        Some(Value::Array(several)) => {
            let several = several.iter().filter_map(Value::as_str);
            several.map(Into::into).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the time at which a token expires, including the leeway. `None` if it has no such time
/// or it cannot be represented.
pub(super) fn end(claims: &Map<String, Value>) -> Option<SystemTime> {
    let seconds = claims.get("exp")?.as_f64()?;
    let since = Duration::try_from_secs_f64(seconds).ok()?;
    UNIX_EPOCH.checked_add(since)?.checked_add(LEEWAY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn token(header: &Value, payload: &Value) -> String {
        let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        format!("{}.{}.c2ln", part(header), part(payload))
    }

    #[test]
    fn issuer_algorithm_and_key_are_read() {
        let text = token(
            &json!({"alg": "RS256", "kid": "1"}),
            &json!({"iss": "a", "sub": "b"}),
        );
        assert!(is_token(&text));
        let read = Unchecked::read(&text).unwrap();
        assert_eq!(
            (read.issuer.as_str(), read.algorithm.as_str()),
            ("a", "RS256")
        );
        assert_eq!(read.key_id.as_deref(), Some("1"));
    }

    #[test]
    fn tokens_that_cannot_be_judged_are_refused() {
        for (header, payload, rejection) in [
            (
                json!({"kid": "1"}),
                json!({"iss": "a"}),
                Rejection::Malformed,
            ),
            (json!({"alg": "RS256"}), json!({}), Rejection::WrongAudience),
            (
                json!({"alg": "RS256"}),
                json!({"iss": ["a"]}),
                Rejection::Malformed,
            ),
            (
                json!({"alg": "RS256", "crit": ["b64"], "b64": false}),
                json!({"iss": "a"}),
                Rejection::BadSignature,
            ),
        ] {
            let read = Unchecked::read(&token(&header, &payload));
            assert_eq!(read.err(), Some(rejection), "{header} {payload}");
        }
    }

    #[test]
    fn claims_are_found_by_name_and_by_path() {
        let claims = json!({"a": {"b": ["x", 1, "y"]}, "https://a.b/c": "z", "exp": 1});
        let claims = claims.as_object().unwrap();
        let of = |path| groups(find(claims, path));
        assert_eq!(of("a.b"), ["x", "y"].map(Arc::<str>::from));
        assert_eq!(of("https://a.b/c"), ["z"].map(Arc::<str>::from));
        assert!(of("a.c").is_empty() && of("a.b.c").is_empty() && of("exp").is_empty());
        assert_eq!(end(claims), Some(UNIX_EPOCH + Duration::from_secs(61)));
    }

    #[test]
    fn ends_that_no_clock_reaches_are_none() {
        for exp in [
            json!(-1),
            json!(1e300),
            json!("1"),
            json!(null),
            json!(u64::MAX),
        ] {
            let claims = json!({ "exp": exp });
            assert_eq!(end(claims.as_object().unwrap()), None, "{exp}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,80}", head in ".{0,40}", body in ".{0,40}") {
            let _read = Unchecked::read(&text);
            let encode = |part: &str| BASE64_URL_SAFE_NO_PAD.encode(part);
            let _read = Unchecked::read(&format!("{}.{}.", encode(&head), encode(&body)));
        }
    }
}
