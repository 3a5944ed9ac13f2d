//! Authenticates requests: defines the accepted [`Credentials`], and checks signatures and tokens.

mod access_key;
mod canonical;
mod sigv4;

use http::{HeaderMap, request::Parts};
use std::time::SystemTime;

pub use access_key::AccessKey;

use super::{
    error::WireError,
    sessions::{Principal, Sessions},
};

/// A service for which requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    /// Both the runtime and the control plane of Bedrock.
    Bedrock,
    /// AWS STS.
    Sts,
}

impl Service {
    const fn name(self) -> &'static str {
        match self {
            Self::Bedrock => "bedrock",
            Self::Sts => "sts",
        }
    }
}

/// The access key ID that the emulator accepts by default. It is not a secret.
pub const DEV_ACCESS_KEY_ID: &str = "EMULATOR";
/// The secret access key for [`DEV_ACCESS_KEY_ID`].
pub const DEV_SECRET_ACCESS_KEY: &str = "emulator-secret-access-key";
/// The bearer token that the emulator accepts by default. Bedrock API keys are bearer tokens.
pub const DEV_BEARER_TOKEN: &str = "emulator-bearer-token";

/// The accepted credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access keys whose signatures are accepted.
    pub access_keys: Vec<AccessKey>,
    /// The Bedrock API keys that are accepted.
    pub bearer_tokens: Vec<String>,
    /// Whether requests are checked. If not, all calls are accepted, but the Region is still read
    /// from the scope of the signature.
    pub checked: bool,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            access_keys: vec![AccessKey {
                id: DEV_ACCESS_KEY_ID.to_owned(),
                secret: DEV_SECRET_ACCESS_KEY.to_owned(),
                session_token: None,
            }],
            bearer_tokens: vec![DEV_BEARER_TOKEN.to_owned()],
            checked: true,
        }
    }
}

/// Returns the source Region that a request's signature names. `None` if the signature is missing
/// or cannot be parsed.
pub(super) fn region(headers: &HeaderMap) -> Option<String> {
    let authorization = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let region = sigv4::Authorization::parse(authorization).ok()?.region;
    Some(region.to_owned())
}

/// Returns the session of the key that a request's signature names, even if the signature is
/// invalid.
pub(super) fn session(headers: &HeaderMap, sessions: &Sessions) -> Option<Principal> {
    let authorization = headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
    let claim = sigv4::Authorization::parse(authorization).ok()?;
    sessions.of_key(claim.access_key_id).map(Principal::Session)
}

/// Checks a request's signature or token, and returns the principal that signed it.
///
/// On failure, returns the error of the real endpoint: HTTP 403 with one of its error codes.
pub(super) fn check(
    credentials: &Credentials,
    sessions: &Sessions,
    service: Service,
    parts: &Parts,
    body: &[u8],
    now: SystemTime,
) -> Result<Principal, WireError> {
    let session = session(&parts.headers, sessions);
    if !credentials.checked {
        return Ok(session.unwrap_or(Principal::Own));
    }
    let authorization = parts.headers.get(http::header::AUTHORIZATION);
    let Some(authorization) = authorization.and_then(|value| value.to_str().ok()) else {
        return Err(WireError::denied(
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ));
    };
    match authorization.strip_prefix("Bearer ") {
        Some(token) if credentials.bearer_tokens.iter().any(|known| known == token) => {
            Ok(Principal::Own)
        }
        Some(_) => Err(WireError::denied(
            "AccessDeniedException",
            "Authentication failed: Please make sure your API Key is valid.",
        )),
        None => {
            let of_session = match &session {
                Some(Principal::Session(session)) => Some(AccessKey {
                    id: session.key_id.clone(),
                    secret: session.secret.clone(),
                    session_token: Some(session.token.clone()),
                }),
                _ => None,
            };
            let keys = credentials.access_keys.iter().chain(&of_session);
            sigv4::check(keys, service.name(), authorization, parts, body, now)?;
            match session {
                Some(Principal::Session(session)) if now >= session.expiry => {
                    Err(WireError::denied(
                        "ExpiredTokenException",
                        "The security token included in the request is expired",
                    ))
                }
                session => Ok(session.unwrap_or(Principal::Own)),
            }
        }
    }
}
