//! Signs requests with AWS Signature Version 4. The signature is the same as that of the SDK. The
//! SDK derives the signing key for each request. Here, the key is cached together with the
//! credentials from which it was derived.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use aws_credential_types::Credentials;
use aws_lc_rs::{digest, hmac};
use http::{HeaderMap, HeaderName};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use time::OffsetDateTime;

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The maximum number of cached signing keys for the same credentials. Each Region needs one.
const MOST_KEYS: usize = 64;
/// The characters of a path that are encoded a second time for the canonical request.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The signing keys that were derived from credentials. They are a property of the credentials, so
/// they are dropped together with them.
#[derive(Clone, Default)]
struct SigningKeys(Arc<Mutex<Vec<SigningKey>>>);

struct SigningKey {
    date: String,
    scope: Scope,
    key: Arc<hmac::Key>,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").finish_non_exhaustive()
    }
}

/// Returns the credentials with an empty cache for the signing keys that will be derived from them.
pub(super) fn with_signing_keys(mut credentials: Credentials) -> Credentials {
    credentials.set_property(SigningKeys::default());
    credentials
}

impl SigningKeys {
    fn get(&self, secret: &str, date: &str, scope: &Scope) -> Arc<hmac::Key> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = keys
            .iter()
            .find(|known| known.date == date && known.scope == *scope);
        if let Some(known) = known {
            return Arc::clone(&known.key);
        }
        let key = Arc::new(scope.derive(secret, date));
        // Keys of other days are no longer needed.
        keys.retain(|known| known.date == date);
        if keys.len() >= MOST_KEYS {
            keys.remove(0);
        }
        keys.push(SigningKey {
            date: date.to_owned(),
            scope: scope.clone(),
            key: Arc::clone(&key),
        });
        key
    }
}

/// The Region and the service for which a signature is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) region: String,
    pub(super) service: String,
}

impl Scope {
    /// Derives the signing key for a day.
    fn derive(&self, secret: &str, date: &str) -> hmac::Key {
        let key = |bytes: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let first = key(format!("AWS4{secret}").as_bytes());
        [date, &self.region, &self.service, "aws4_request"]
            .iter()
            .fold(first, |secret, part| {
                key(hmac::sign(&secret, part.as_bytes()).as_ref())
            })
    }
}

/// The names of the headers that a signature covers, in alphabetical order.
#[derive(Debug)]
pub(super) struct SignedHeaders {
    names: Vec<HeaderName>,
    /// The names, separated by semicolons.
    list: String,
}

impl SignedHeaders {
    pub(super) fn new(names: impl IntoIterator<Item = HeaderName>) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        names.dedup();
        let list: Vec<_> = names.iter().map(HeaderName::as_str).collect();
        Self {
            list: list.join(";"),
            names,
        }
    }
}

/// The parts of a request, without a query, that its signature covers.
pub(super) struct Signable<'a> {
    pub(super) method: &'a str,
    /// The [`canonical_path`].
    pub(super) path: &'a str,
    /// The host. The port follows unless it is the scheme's default port.
    pub(super) host: &'a str,
    /// The headers, except for `host`.
    pub(super) headers: &'a HeaderMap,
    pub(super) signed: &'a SignedHeaders,
    /// The hash of the body in hexadecimal.
    pub(super) body_sha256: &'a str,
}

impl Signable<'_> {
    /// Returns the header `authorization`. `time` is the value of `x-amz-date`.
    pub(super) fn authorization(
        &self,
        scope: &Scope,
        credentials: &Credentials,
        time: &str,
    ) -> String {
        let date = time.split('T').next().unwrap_or_default();
        let Scope { region, service } = scope;
        let canonical = hex(digest::digest(&digest::SHA256, &self.canonical()).as_ref());
        let to_sign =
            format!("{ALGORITHM}\n{time}\n{date}/{region}/{service}/aws4_request\n{canonical}");
        let secret = credentials.secret_access_key();
        let key = match credentials.get_property::<SigningKeys>() {
            Some(keys) => keys.get(secret, date, scope),
            None => Arc::new(scope.derive(secret, date)),
        };
        let signature = hex(hmac::sign(&key, to_sign.as_bytes()).as_ref());
        format!(
            "{ALGORITHM} Credential={}/{date}/{region}/{service}/aws4_request, \
             SignedHeaders={}, Signature={signature}",
            credentials.access_key_id(),
            self.signed.list,
        )
    }

    /// Returns the canonical request, whose hash is signed.
    fn canonical(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(1024);
        for part in [self.method, "\n", self.path, "\n\n"] {
            text.extend_from_slice(part.as_bytes());
        }
        for name in &self.signed.names {
            text.extend_from_slice(name.as_str().as_bytes());
            text.push(b':');
            if name == http::header::HOST {
                text.extend_from_slice(self.host.as_bytes());
            } else {
                for (index, value) in self.headers.get_all(name).iter().enumerate() {
                    if index > 0 {
                        text.push(b',');
                    }
                    push_words(&mut text, value.as_bytes());
                }
            }
            text.push(b'\n');
        }
        for part in ["\n", &self.signed.list, "\n", self.body_sha256] {
            text.extend_from_slice(part.as_bytes());
        }
        text
    }
}

/// Returns the path of the canonical request for the path of a URL. `None` if SigV4 would normalize
/// the path, because it has an empty segment or a segment of dots.
pub(super) fn canonical_path(path: &str) -> Option<String> {
    let mut segments = path.strip_prefix('/')?.split('/');
    let is_normal = segments.all(|segment| !matches!(segment, "" | "." | ".."));
    is_normal.then(|| utf8_percent_encode(path, ENCODED).to_string())
}

/// Appends a value. Spaces at its ends are removed, and several spaces in a row become one.
fn push_words(text: &mut Vec<u8>, value: &[u8]) {
    let words = value.split(|byte| *byte == b' ');
    for (index, word) in words.filter(|word| !word.is_empty()).enumerate() {
        if index > 0 {
            text.push(b' ');
        }
        text.extend_from_slice(word);
    }
}

/// Returns a time in the format of `x-amz-date`, such as `20260102T030405Z`.
pub(super) fn timestamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let mut text = String::with_capacity(16);
    // Writing to a String cannot fail.
    let _infallible = write!(
        text,
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
    );
    text
}

/// Returns bytes in hexadecimal, in lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 0xf)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sigv4::{
        http_request::{SignableBody, SignableRequest, SigningSettings, sign},
        sign::v4::SigningParams,
    };
    use aws_smithy_runtime_api::client::identity::Identity;
    use http::{HeaderValue, Uri, header::HOST};
    use proptest::prelude::*;

    use super::*;

    /// A request, and the credentials that sign it.
    #[derive(Clone, Debug)]
    struct Case {
        prefix: String,
        model_id: String,
        user_agent: String,
        body: Vec<u8>,
        token: Option<String>,
        scope: Scope,
        time: SystemTime,
    }

    impl Case {
        fn uri(&self) -> String {
            let id = utf8_percent_encode(&self.model_id, NON_ALPHANUMERIC);
            format!(
                "http://127.0.0.1:8080{}/model/{id}/converse-stream",
                self.prefix
            )
        }

        fn credentials(&self) -> Credentials {
            Credentials::new("AKID", "not-a-real-secret", self.token.clone(), None, "")
        }

        fn headers(&self) -> HeaderMap {
            let mut headers = HeaderMap::new();
            let text = |value: &str| HeaderValue::from_str(value).unwrap();
            headers.insert("content-type", text("application/json"));
            headers.insert("content-length", text(&self.body.len().to_string()));
            headers.insert("x-amz-user-agent", text(&self.user_agent));
            headers
        }

        /// Returns the `authorization` header that the SDK's signer computes.
        fn by_sdk(&self) -> String {
            let identity = Identity::from(self.credentials());
            let params = SigningParams::builder()
                .identity(&identity)
                .region(&self.scope.region)
                .name(&self.scope.service)
                .time(self.time)
                .settings(SigningSettings::default())
                .build()
                .unwrap();
            let (uri, headers) = (self.uri(), self.headers());
            let headers = headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
            let request =
                SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(&self.body));
            let (signed, _) = sign(request.unwrap(), &params.into()).unwrap().into_parts();
            let authorization = signed.headers().find(|(name, _)| *name == "authorization");
            authorization.unwrap().1.to_owned()
        }

        /// Returns the `authorization` header that this module computes. `None` if the path is not
        /// supported.
        fn by_gateway(&self, credentials: &Credentials) -> Option<String> {
            let uri: Uri = self.uri().parse().unwrap();
            let time = timestamp(self.time);
            let mut headers = self.headers();
            headers.insert("x-amz-date", HeaderValue::from_str(&time).unwrap());
            if let Some(token) = credentials.session_token() {
                let token = HeaderValue::from_str(token).unwrap();
                headers.insert("x-amz-security-token", token);
            }
            let signed = SignedHeaders::new(headers.keys().cloned().chain([HOST]));
            let request = Signable {
                method: "POST",
                path: &canonical_path(uri.path())?,
                host: uri.authority().unwrap().as_str(),
                headers: &headers,
                signed: &signed,
                body_sha256: &hex(digest::digest(&digest::SHA256, &self.body).as_ref()),
            };
            Some(request.authorization(&self.scope, credentials, &time))
        }
    }

    fn cases() -> impl Strategy<Value = Case> {
        (
            prop_oneof![Just(String::new()), "/[a-z0-9:@!$&'()*+,;=~_.-]{0,9}"],
            ".{1,40}",
            "[ -~]{0,60}",
            proptest::collection::vec(any::<u8>(), 0..200),
            proptest::option::of("[!-~]{1,80}"),
            ("[a-z]{2}-[a-z]{4,9}-[1-9]", "bedrock|execute-api"),
            0..4_000_000_000_u64,
        )
            .prop_map(
                |(prefix, model_id, user_agent, body, token, (region, service), seconds)| Case {
                    prefix,
                    model_id,
                    user_agent,
                    body,
                    token,
                    scope: Scope { region, service },
                    time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
                },
            )
    }

    proptest! {
        #[test]
        fn signatures_are_those_of_the_sdk(case in cases()) {
            let expected = case.by_sdk();
            let credentials = case.credentials();
            let kept = with_signing_keys(credentials.clone());
            // The second signature with cached keys does not derive the key.
            for credentials in [&credentials, &kept, &kept] {
                if let Some(authorization) = case.by_gateway(credentials) {
                    prop_assert_eq!(&authorization, &expected);
                } else {
                    prop_assert!(matches!(&*case.prefix, "/" | "/." | "/.."));
                }
            }
        }
    }

    #[test]
    fn keys_are_those_of_their_day_and_scope() {
        let keys = SigningKeys::default();
        let scope = |region: &str| Scope {
            region: region.to_owned(),
            service: "bedrock".to_owned(),
        };
        let sign = |date: &str, region: &str| {
            let key = keys.get("not-a-real-secret", date, &scope(region));
            let derived = scope(region).derive("not-a-real-secret", date);
            let signature = |key: &hmac::Key| hex(hmac::sign(key, b"text").as_ref());
            assert_eq!(signature(&key), signature(&derived));
        };
        let kept = || keys.0.lock().unwrap().len();
        for region in 0..2 * MOST_KEYS {
            sign("20260101", &region.to_string());
            sign("20260101", &region.to_string());
        }
        assert_eq!(kept(), MOST_KEYS);
        sign("20260102", "us-east-1");
        assert_eq!(kept(), 1);
        sign("20260101", "us-east-1");
        assert_eq!(kept(), 1);
    }

    #[test]
    fn logs_contain_no_keys() {
        let credentials = with_signing_keys(Credentials::new("AKID", "secret", None, None, ""));
        let keys = credentials.get_property::<SigningKeys>().unwrap();
        let scope = Scope {
            region: "us-east-1".to_owned(),
            service: "bedrock".to_owned(),
        };
        keys.get("secret", "20260101", &scope);
        assert_eq!(format!("{keys:?}"), "SigningKeys { .. }");
        assert!(!format!("{credentials:?}").contains("secret\""));
    }

    #[test]
    fn times_have_two_digits_each() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_999);
        assert_eq!(timestamp(time), "20260102T030405Z");
    }
}
