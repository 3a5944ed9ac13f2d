//! Holds the body of a request to Bedrock with its hash.

use std::{borrow::Cow, fmt, sync::Arc};

use aws_lc_rs::digest::{Context, SHA256, digest};
use bytes::Bytes;

use super::signature::hex;

/// The minimum size of a body that is hashed in advance, in bytes. For smaller bodies, the hash
/// takes only some microseconds.
const HASHED: usize = 64 << 10;
/// The number of bytes after which hashing checks again whether the result is still needed.
const PIECE: usize = 64 << 10;

/// The JSON body of a request. Cheap to clone.
#[derive(Clone)]
pub struct RequestBody {
    bytes: Bytes,
    /// The SHA-256, which the signature covers. If `None`, it is computed when the request is
    /// signed.
    sha256: Option<Arc<Hashed>>,
}

/// The hash of a body that was computed in advance.
struct Hashed {
    /// The SHA-256 of the whole body, in hexadecimal.
    whole: Arc<str>,
    /// The state of the hash before the last byte, so that a member can be added to the JSON object
    /// without hashing the whole body again.
    before_last: Context,
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("length", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self {
            bytes,
            sha256: None,
        }
    }
}

impl RequestBody {
    /// Creates a body, and hashes it once for all attempts if it is large. Call this function on
    /// the thread that created the bytes. Otherwise, the thread that forwards tokens would hash
    /// them.
    ///
    /// If `is_stopped` returns true, hashing stops and the body has no hash.
    pub fn hashed(bytes: Bytes, is_stopped: impl Fn() -> bool) -> Self {
        let hashed = (bytes.len() >= HASHED).then(|| hash(&bytes, is_stopped));
        Self {
            bytes,
            sha256: hashed.flatten().map(Arc::new),
        }
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the SHA-256 in hexadecimal. Computes it if it is not known.
    pub(super) fn sha256(&self) -> Cow<'_, str> {
        match &self.sha256 {
            Some(known) => Cow::Borrowed(&known.whole),
            None => Cow::Owned(hex(digest(&SHA256, &self.bytes).as_ref())),
        }
    }

    /// Returns the bytes, and the hash if it was computed.
    pub(super) fn into_parts(self) -> (Bytes, Option<Arc<str>>) {
        (
            self.bytes,
            self.sha256.map(|known| Arc::clone(&known.whole)),
        )
    }

    /// Returns a copy in which the JSON object also names a project. The project's identifier must
    /// need no escapes. `None` if the body is not an object.
    pub(super) fn in_project(&self, identifier: &str) -> Option<Self> {
        let object = self.bytes.strip_suffix(b"}")?;
        let comma = if object.ends_with(b"{") { "" } else { "," };
        let member = format!(r#"{comma}"projectIdentifier":"{identifier}"}}"#);
        let sha256 = self.sha256.as_ref().map(|known| {
            let mut context = known.before_last.clone();
            context.update(member.strip_suffix('}').unwrap_or_default().as_bytes());
            Arc::new(Hashed::finish(context, b"}"))
        });
        Some(Self {
            bytes: [object, member.as_bytes()].concat().into(),
            sha256,
        })
    }
}

impl Hashed {
    /// Adds the last byte.
    fn finish(before_last: Context, last: &[u8]) -> Self {
        let mut context = before_last.clone();
        context.update(last);
        Self {
            whole: hex(context.finish().as_ref()).into(),
            before_last,
        }
    }
}

/// Returns the hash of a body. `None` if hashing was stopped.
fn hash(bytes: &[u8], is_stopped: impl Fn() -> bool) -> Option<Hashed> {
    let (object, last) = bytes.split_at(bytes.len().saturating_sub(1));
    let mut context = Context::new(&SHA256);
    for piece in object.chunks(PIECE) {
        if is_stopped() {
            return None;
        }
        context.update(piece);
    }
    Some(Hashed::finish(context, last))
}

#[cfg(test)]
mod tests {
    use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options};

    use super::*;
    use crate::{
        bedrock::{Bedrock, Sdk},
        config::bedrock,
        error::Reason,
    };

    #[test]
    fn large_bodies_are_hashed_unless_they_are_not_needed() {
        let hash = |length: usize, stop| {
            RequestBody::hashed(vec![b'a'; length].into(), || stop)
                .sha256
                .map(|hash| hash.whole.to_string())
        };
        // The expected hash is the output of `head -c 1000000 /dev/zero | tr '\0' a | sha256sum`.
        let million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
        assert_eq!(hash(1_000_000, false).as_deref(), Some(million));
        assert_eq!(hash(1_000_000, true), None);
        assert_eq!(hash(HASHED - 1, false), None);
    }

    #[test]
    fn a_project_is_added_to_an_object_and_to_its_hash() {
        let added = |json: &str| {
            let body = RequestBody::hashed(json.to_owned().into(), || false);
            body.in_project("a_B-9").map(|body| body.bytes)
        };
        let small = added(r#"{"a":{}}"#).unwrap();
        assert_eq!(small, r#"{"a":{},"projectIdentifier":"a_B-9"}"#);
        assert_eq!(added("{}").unwrap(), r#"{"projectIdentifier":"a_B-9"}"#);
        assert_eq!(added("[]"), None);
        assert_eq!(added(""), None);
        for length in [HASHED, HASHED + 1, 2 * PIECE, 2 * PIECE + 9] {
            let text = "x".repeat(length - r#"{"a":""}"#.len());
            let body = RequestBody::hashed(format!(r#"{{"a":"{text}"}}"#).into(), || false);
            let body = body.in_project("p").unwrap();
            let again = body.in_project("q").unwrap();
            for body in [body, again] {
                let fresh = RequestBody::from(body.bytes.clone());
                assert!(body.sha256.is_some());
                assert_eq!(body.sha256(), fresh.sha256());
            }
        }
    }

    /// The emulator checks the signature against the hash of the body that it received.
    #[tokio::test]
    async fn the_signature_covers_the_hash_that_is_known() {
        let emulator = Emulator::start(Options::default()).unwrap();
        let options = bedrock::BedrockOptions {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(emulator.endpoint_url()),
            ..bedrock::BedrockOptions::default()
        };
        let sdk =
            Sdk::with_credentials(DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, &options).unwrap();
        let client = Bedrock::new(&sdk);
        let text = "x".repeat(2 * HASHED);
        let json = format!(r#"{{"messages":[{{"role":"user","content":[{{"text":"{text}"}}]}}]}}"#);
        let body = RequestBody::hashed(json.into(), || false);
        let call = async |body| {
            client
                .converse_stream("us-east-1", "amazon.nova-lite-v1:0", body)
                .await
                .map(|_| ())
                .map_err(|failure| failure.reason)
        };
        assert!(body.sha256.is_some());
        assert_eq!(call(body.clone()).await, Ok(()));
        let without = RequestBody::from(body.bytes.clone());
        assert_eq!(call(without).await, Ok(()));
        let wrong = RequestBody {
            sha256: Some(Arc::new(Hashed {
                whole: "0".repeat(64).into(),
                before_last: Context::new(&SHA256),
            })),
            ..body
        };
        assert_eq!(call(wrong).await, Err(Reason::UpstreamCredentials));
    }
}
