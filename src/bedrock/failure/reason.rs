//! The table that maps Bedrock's error names and messages to a [`Reason`].

use crate::error::Reason;

/// Normalizes the name of an error. In a stream, a name looks like `throttlingException`; over HTTP
/// like `ThrottlingException`, possibly with a namespace or a `:suffix`.
pub(super) fn normal_name(raw: &str) -> String {
    let name = raw.split(':').next().unwrap_or_default().trim();
    let name = name.rsplit('#').next().unwrap_or_default();
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + letters.as_str(),
        None => String::new(),
    }
}

/// Returns the reason of an error from its [`normal_name`] and, if the name has several meanings,
/// from its message. An error without a name is mapped by its HTTP status: a load balancer, a
/// proxy, a service mesh or a failing Bedrock endpoint sent it.
pub(super) fn of(name: &str, message: &str, http_status: Option<u16>) -> Reason {
    match name.strip_suffix("Exception").unwrap_or(name) {
        "" => of_status(http_status, message),
        "Validation" => of_validation(message),
        // Bedrock cannot read JSON that the gateway passed through, or a value has the wrong type.
        "Serialization" => Reason::UpstreamValidation,
        "AccessDenied" if says(message, BAD_KEYS) => Reason::UpstreamCredentials,
        "AccessDenied" => Reason::UpstreamAccessDenied,
        "ResourceNotFound" => Reason::UpstreamResource,
        name if THROTTLING.contains(&name) && says(message, DAILY) => Reason::UpstreamQuota,
        name if THROTTLING.contains(&name) => Reason::UpstreamThrottled,
        "ServiceQuotaExceeded" => Reason::UpstreamQuota,
        "ModelNotReady" => Reason::ModelNotReady,
        "ServiceUnavailable" | "RequestTimeout" => Reason::UpstreamUnavailable,
        "InternalServer" | "InternalServerError" | "InternalFailure" | "InternalError" => {
            Reason::UpstreamInternal
        }
        "ModelError" => Reason::ModelError,
        "ModelTimeout" => Reason::ModelTimeout,
        "ModelStreamError" => Reason::ModelStreamError,
        "ExpiredToken"
        | "ExpiredTokenId"
        | "RequestExpired"
        | "UnrecognizedClient"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "InvalidSecurity"
        | "NotAuthorized"
        | "InvalidSignature"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "IncompleteSignature" => Reason::UpstreamCredentials,
        _ => Reason::UpstreamUnknown,
    }
}

/// Returns the reason for a status without an error name. Redirects and 407 are from an
/// intermediary, because Bedrock sends neither.
fn of_status(http_status: Option<u16>, message: &str) -> Reason {
    match http_status {
        Some(400 | 401 | 403) if says(message, BAD_KEYS) => Reason::UpstreamCredentials,
        Some(429) if says(message, DAILY) => Reason::UpstreamQuota,
        Some(429) => Reason::UpstreamThrottled,
        Some(100..=199 | 300..=399 | 407 | 408 | 421 | 500..=599) => Reason::UpstreamUnavailable,
        _ => Reason::UpstreamUnknown,
    }
}

fn of_validation(message: &str) -> Reason {
    if says(message, PROFILE_ONLY) {
        Reason::InferenceProfileRequired
    } else if says(message, TOO_LONG) {
        Reason::ContextTooLong
    } else {
        Reason::UpstreamValidation
    }
}

/// Phrases in "Invocation of model ID … with on-demand throughput isn’t supported", with a straight
/// or a curly apostrophe.
const PROFILE_ONLY: &[&str] = &[
    "on-demand throughput isn't supported",
    "on-demand throughput is not supported",
];

/// Phrases that models use for a conversation that exceeds their context window.
const TOO_LONG: &[&str] = &[
    "input is too long",
    "prompt is too long",
    "too many input tokens",
    "too many tokens",
    "input tokens exceeded",
    "maximum context length",
    "exceeds the context window",
    "exceed context limit",
    "exceeds the maximum number of tokens",
    "input length and `max_tokens` exceed",
    "longer than the model's context",
];

/// AWS's error names for throttling, without `Exception`. Source: the list in the AWS SDKs' retry
/// modes.
const THROTTLING: &[&str] = &[
    "Throttling",
    "Throttled",
    "TooManyRequests",
    "RequestThrottled",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceeded",
    "SlowDown",
];

/// Phrases that identify daily quotas, as in "Too many tokens per day, please wait before trying
/// again."
const DAILY: &[&str] = &["tokens per day", "requests per day", "daily"];

/// Phrases that identify an invalid API key or session, whatever the name of the error is. Bedrock
/// also reports them as AccessDeniedException.
const BAD_KEYS: &[&str] = &[
    "your api key is valid",
    "bearer token",
    "security token included in the request",
];

fn says(message: &str, phrases: &[&str]) -> bool {
    let message = message
        .replace(['\u{2019}', '\u{2018}'], "'")
        .to_lowercase();
    phrases.iter().any(|phrase| message.contains(phrase))
}

/// Returns the message for rejected credentials, which tells the operator what to do.
pub(super) fn credentials_message(name: &str) -> String {
    let why = match name.strip_suffix("Exception").unwrap_or(name) {
        "ExpiredToken" | "ExpiredTokenId" | "RequestExpired" => {
            "have expired, or this machine's clock is wrong"
        }
        "UnrecognizedClient" | "InvalidClientTokenId" | "InvalidAccessKeyId" => {
            "are not known to AWS"
        }
        "InvalidSignature" | "SignatureDoesNotMatch" => {
            "do not match: the secret key or this machine's clock is wrong"
        }
        _ => "were not accepted",
    };
    format!("the gateway's AWS credentials {why} ({name}); the operator must renew or correct them")
}
