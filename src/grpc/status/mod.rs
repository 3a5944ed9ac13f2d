//! Contains the only table that maps a [`Failure`] to a gRPC status, and builds the status details.

use std::time::Duration;

use prost::Message;
use prost_types::Any;
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::pb::{
    BadRequest, ErrorInfo, Help, QuotaFailure, RequestInfo, ResourceInfo, RetryInfo, bad_request,
    help, quota_failure,
};

use crate::{
    aws::without_accounts,
    error::{Failure, Phase, Reason, Upstream},
    pb,
    stream::Failed,
};

/// The domain in ErrorInfo.
const DOMAIN: &str = "bedrock-grpc";
/// The maximum size of the encoded details, in bytes. A header contains the details in base64, and
/// clients and proxies limit headers to 8 KiB. Beyond that limit, grpcio replaces the whole status.
const MAX_DETAILS_BYTES: usize = 4 << 10;
/// The maximum length of a status message, in bytes. The message is percent-encoded in the same
/// headers.
const MAX_MESSAGE_BYTES: usize = 1 << 10;
/// The maximum length of Bedrock's message in the details, in bytes.
const MAX_UPSTREAM_MESSAGE_BYTES: usize = 512;
/// The header with which gRPC clients' retry policies decide when to retry, in milliseconds. A
/// negative value means never (gRFC A6).
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// The maximum size of the details up to and including Bedrock's error. It leaves room for the
/// details after it.
const MAX_BEFORE_OTHERS: usize = 2 << 10;
/// The maximum length of a model ID in an attempt, in bytes. It is limited because there may be
/// several attempts. Real model IDs are shorter.
const MAX_ATTEMPT_MODEL_ID_BYTES: usize = 256;
/// The maximum lengths of a target's name, and of the description next to it, in bytes.
const MAX_NAME_BYTES: usize = 512;
const MAX_DESCRIPTION_BYTES: usize = 256;
/// The retry delay if Bedrock sends none.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);
/// The full name of the message that contains Bedrock's error.
const UPSTREAM_ERROR: &str = "bedrock.inference.v1.UpstreamError";
const PROFILES_HELP: &str =
    "https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html";

/// Whether the same call may be retried. This determines `UpstreamError.retryable`, RetryInfo and
/// the pushback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Retry {
    /// A retry would have the same result. The call is not retryable, and the pushback is -1.
    Never,
    /// The caller decides, because a retry costs money again or may have the same result. The call
    /// is retryable, but the pushback is -1.
    CallerDecides,
    /// A retry may succeed after a delay. The call is retryable, with RetryInfo and a pushback.
    After,
}

/// Returns the row of a failure in the table: the code, and whether to retry if nothing was
/// forwarded. A test compares the table in `docs/errors.md` with this function.
fn row(failure: &Failure) -> (Code, Retry) {
    use Reason as R;
    match failure.reason {
        R::InvalidRequest => (Code::InvalidArgument, Retry::Never),
        R::TargetUnknown => (Code::NotFound, Retry::Never),
        R::TargetOutsideFence => (Code::FailedPrecondition, Retry::Never),
        R::TargetNotAllowed | R::CallerNotAllowed | R::BodyNotEnforceable => {
            (Code::PermissionDenied, Retry::Never)
        }
        R::CallerUnauthenticated => (Code::Unauthenticated, Retry::Never),
        R::CallerUnverifiable => (Code::Unavailable, Retry::After),
        R::TooManyFailedAttempts => (Code::ResourceExhausted, Retry::After),
        // If there is no delay after which a retry may succeed, the call never succeeds, or only
        // after the end of the window.
        R::CallerStreamLimit | R::CallerRateLimit | R::CallerBudgetExhausted => {
            let retry = match failure.retry_after {
                Some(_) => Retry::After,
                None => Retry::Never,
            };
            (Code::ResourceExhausted, retry)
        }
        R::PriceUnknown => (Code::FailedPrecondition, Retry::Never),
        R::LimitStoreUnavailable => (Code::Unavailable, Retry::After),
        R::OriginNotAllowed => (Code::PermissionDenied, Retry::Never),
        R::UpstreamValidation | R::ContextTooLong => (Code::InvalidArgument, Retry::Never),
        R::InferenceProfileRequired | R::CountTokensUnsupported => {
            (Code::FailedPrecondition, Retry::Never)
        }
        R::UpstreamAccessDenied => (Code::PermissionDenied, Retry::Never),
        R::UpstreamCredentials => (Code::Internal, Retry::Never),
        R::CredentialsUnavailable => (Code::Unavailable, Retry::After),
        R::UpstreamResource => (Code::NotFound, Retry::Never),
        R::UpstreamThrottled => (Code::ResourceExhausted, Retry::After),
        R::UpstreamQuota => (Code::ResourceExhausted, Retry::Never),
        R::ModelNotReady | R::UpstreamUnavailable | R::UpstreamConnect => {
            (Code::Unavailable, Retry::After)
        }
        R::UpstreamInternal => (Code::Internal, Retry::Never),
        R::ModelError => match original_status(failure) {
            Some(429 | 500..=599) => (Code::Unavailable, Retry::After),
            _ => (Code::Internal, Retry::Never),
        },
        R::ModelTimeout => (Code::DeadlineExceeded, Retry::CallerDecides),
        // The answer ended before its first event. In this case, `routing::attempts` has set a
        // delay.
        R::UpstreamTruncated if failure.retry_after.is_some() => (Code::Unavailable, Retry::After),
        R::ModelStreamError | R::UpstreamTruncated => (Code::Unavailable, Retry::CallerDecides),
        R::UpstreamIdle => (Code::Unavailable, Retry::After),
        R::UpstreamCorrupt => (Code::DataLoss, Retry::Never),
        R::UpstreamUnknown => match http_status(failure) {
            Some(429) => (Code::ResourceExhausted, Retry::After),
            Some(500..=599) => (Code::Unavailable, Retry::After),
            Some(400..=499) => (Code::FailedPrecondition, Retry::Never),
            _ => (Code::Unknown, Retry::Never),
        },
        R::ReplicaSaturated | R::Draining => (Code::Unavailable, Retry::After),
        R::DeadlineExceeded => (Code::DeadlineExceeded, Retry::Never),
        R::Cancelled => (Code::Cancelled, Retry::Never),
        R::ClientStalled => (Code::Aborted, Retry::Never),
        R::MessageTooLarge => (Code::ResourceExhausted, Retry::Never),
        // gRPC's own libraries use the same code.
        R::MessageUnreadable => (Code::Internal, Retry::Never),
        R::Unimplemented => (Code::Unimplemented, Retry::Never),
        R::Panic | R::Internal => (Code::Internal, Retry::Never),
    }
}

fn original_status(failure: &Failure) -> Option<u16> {
    failure.upstream.as_ref()?.original_status
}

fn http_status(failure: &Failure) -> Option<u16> {
    failure.upstream.as_ref()?.http_status
}

/// Returns the gRPC code of a failure, in the spelling of gRPC's documentation.
pub(crate) fn code_name(failure: &Failure) -> &'static str {
    name(row(failure).0)
}

/// Returns the status of a call that failed.
pub(crate) fn of_failed(failed: &Failed) -> Status {
    status(&failed.failure, &failed.attempts, &failed.request_id)
}

/// Returns the status of a failure, with all details that fit.
///
/// `attempts` are all attempts of the call. `request_id` is the request ID of the call.
pub(crate) fn status(failure: &Failure, attempts: &[pb::Attempt], request_id: &str) -> Status {
    let (code, retry) = row(failure);
    // Output that was forwarded cannot be taken back, so no transparent retry is allowed.
    let retry = match (failure.phase, retry) {
        (Phase::MidStream, Retry::After) => Retry::CallerDecides,
        (_, retry) => retry,
    };
    let retry_after =
        (retry == Retry::After).then(|| failure.retry_after.unwrap_or(DEFAULT_RETRY_AFTER));

    let message = shortened(&failure.message, MAX_MESSAGE_BYTES);
    let mut details = Details::default();
    details.add(
        "google.rpc.ErrorInfo",
        &ErrorInfo {
            reason: failure.reason.as_str().to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: [("phase".to_owned(), phase_name(failure.phase).to_owned())].into(),
        },
    );
    if let Some(after) = retry_after {
        details.add(
            "google.rpc.RetryInfo",
            &RetryInfo {
                retry_delay: prost_types::Duration::try_from(after).ok(),
            },
        );
    }
    if let Some(upstream) = &failure.upstream {
        details.push_upstream_error(upstream_error(failure, upstream, retry, attempts));
    }
    match failure.reason {
        Reason::InvalidRequest => details.push_violations(failure),
        Reason::CallerStreamLimit | Reason::CallerRateLimit | Reason::CallerBudgetExhausted => {
            let violations = failure.violations.iter();
            let violations = violations.map(|violation| quota_failure::Violation {
                subject: shortened(&violation.field, MAX_NAME_BYTES),
                description: shortened(&violation.description, MAX_DESCRIPTION_BYTES),
                ..quota_failure::Violation::default()
            });
            details.add(
                "google.rpc.QuotaFailure",
                &QuotaFailure {
                    violations: violations.collect(),
                },
            );
        }
        Reason::UpstreamThrottled | Reason::UpstreamQuota => details.add(
            "google.rpc.QuotaFailure",
            &QuotaFailure {
                violations: vec![quota_failure::Violation {
                    subject: attempts.last().map_or_else(String::new, |attempt| {
                        let model_id = without_accounts(&attempt.model_id);
                        let model_id = shortened(&model_id, MAX_NAME_BYTES);
                        format!("{model_id} in {}", attempt.source_region)
                    }),
                    description: shortened(&failure.message, MAX_DESCRIPTION_BYTES),
                    ..quota_failure::Violation::default()
                }],
            },
        ),
        Reason::TargetUnknown | Reason::UpstreamResource => details.add(
            "google.rpc.ResourceInfo",
            &ResourceInfo {
                resource_type: "target".to_owned(),
                resource_name: attempts.last().map_or_else(String::new, |attempt| {
                    shortened(&without_accounts(&attempt.model_id), MAX_NAME_BYTES)
                }),
                description: shortened(&failure.message, MAX_DESCRIPTION_BYTES),
                ..ResourceInfo::default()
            },
        ),
        Reason::InferenceProfileRequired => details.add(
            "google.rpc.Help",
            &Help {
                links: vec![help::Link {
                    description: "Inference profiles that contain this model".to_owned(),
                    url: PROFILES_HELP.to_owned(),
                }],
            },
        ),
        _ => {}
    }
    if !request_id.is_empty() {
        details.add(
            "google.rpc.RequestInfo",
            &RequestInfo {
                request_id: shortened(request_id, 128),
                ..RequestInfo::default()
            },
        );
    }

    let encoded = tonic_types::Status {
        code: code.into(),
        message: message.clone(),
        details: details.messages,
    }
    .encode_to_vec();
    Status::with_details_and_metadata(code, message, encoded.into(), pushback(retry, retry_after))
}

fn pushback(retry: Retry, retry_after: Option<Duration>) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    let milliseconds = match (retry, retry_after) {
        (Retry::After, Some(after)) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        _ => -1,
    };
    metadata.insert(PUSHBACK, milliseconds.into());
    metadata
}

fn upstream_error(
    failure: &Failure,
    upstream: &Upstream,
    retry: Retry,
    attempts: &[pb::Attempt],
) -> pb::UpstreamError {
    pb::UpstreamError {
        exception: shortened(&upstream.exception, 128),
        http_status: upstream.http_status.map_or(0, i32::from),
        bedrock_request_id: shortened(&upstream.request_id, 128),
        phase: phase(failure.phase).into(),
        retryable: retry != Retry::Never,
        message: shortened(&upstream.message, MAX_UPSTREAM_MESSAGE_BYTES),
        original_status_code: upstream.original_status.map_or(0, i32::from),
        attempts: told_attempts(attempts),
        resource_name: shortened(
            &without_accounts(&upstream.resource_name),
            MAX_ATTEMPT_MODEL_ID_BYTES,
        ),
    }
}

fn told_attempts(attempts: &[pb::Attempt]) -> Vec<pb::Attempt> {
    attempts
        .iter()
        .map(|attempt| pb::Attempt {
            model_id: shortened(
                &without_accounts(&attempt.model_id),
                MAX_ATTEMPT_MODEL_ID_BYTES,
            ),
            bedrock_request_id: shortened(&attempt.bedrock_request_id, 128),
            ..attempt.clone()
        })
        .collect()
}

const fn phase(phase: Phase) -> pb::UpstreamPhase {
    match phase {
        Phase::Connect => pb::UpstreamPhase::Connect,
        Phase::BeforeFirstEvent => pb::UpstreamPhase::BeforeFirstEvent,
        Phase::MidStream => pb::UpstreamPhase::MidStream,
    }
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Connect => "connect",
        Phase::BeforeFirstEvent => "before-first-event",
        Phase::MidStream => "mid-stream",
    }
}

/// The details of a status, in the order of their importance. Details that do not fit are omitted.
#[derive(Default)]
struct Details {
    messages: Vec<Any>,
    bytes: usize,
}

impl Details {
    /// Adds a detail, if it fits.
    fn add(&mut self, name: &str, message: &impl Message) {
        let _fits = self.push(name, message);
    }

    /// Adds a detail, and returns whether it fits.
    fn push(&mut self, name: &str, message: &impl Message) -> bool {
        let value = message.encode_to_vec();
        let type_url = format!("type.googleapis.com/{name}");
        let bytes = value.len() + type_url.len();
        if self.bytes + bytes > MAX_DETAILS_BYTES - MAX_MESSAGE_BYTES {
            return false;
        }
        self.bytes += bytes;
        self.messages.push(Any { type_url, value });
        true
    }

    /// Adds Bedrock's error with as many attempts as fit. The last attempts are kept.
    fn push_upstream_error(&mut self, mut error: pb::UpstreamError) {
        while self.bytes + error.encoded_len() > MAX_BEFORE_OTHERS && !error.attempts.is_empty() {
            error.attempts.remove(0);
        }
        self.add(UPSTREAM_ERROR, &error);
    }

    /// Adds as many violations as fit. The message gives their total number.
    fn push_violations(&mut self, failure: &Failure) {
        let room = (MAX_DETAILS_BYTES - MAX_MESSAGE_BYTES).saturating_sub(self.bytes);
        let mut detail = BadRequest::default();
        let mut bytes = 0;
        for violation in &failure.violations {
            let violation = bad_request::FieldViolation {
                field: shortened(&violation.field, 256),
                description: shortened(&violation.description, 256),
                ..bad_request::FieldViolation::default()
            };
            bytes += violation.encoded_len();
            if bytes > room {
                break;
            }
            detail.field_violations.push(violation);
        }
        // The loop is needed because each violation also takes a tag and a length.
        while !self.push("google.rpc.BadRequest", &detail) && !detail.field_violations.is_empty() {
            detail.field_violations.pop();
        }
    }
}

/// Returns a text of at most this many bytes. It is truncated only between characters, and ends
/// with an ellipsis if it is truncated.
fn shortened(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let mut end = max_bytes - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// Returns a code in the spelling of gRPC's documentation.
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests;
