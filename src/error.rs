//! What can go wrong with a call, said once and without gRPC: [`Failure`] and its [`Reason`].
//!
//! The layers below `grpc` speak in failures; `grpc::status` is the one table that makes statuses of them.

use std::{fmt, time::Duration};

/// Why a call failed. Its name is the `reason` of the status's ErrorInfo and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request breaks a rule that can be known without asking Bedrock.
    InvalidRequest,
    /// No such alias, and not a model ID or ARN that callers may name.
    TargetUnknown,
    /// A model ID or ARN that the operator does not let callers name.
    TargetNotAllowed,
    /// The target's requests may be served outside of where the operator wants them.
    TargetOutsideFence,
    /// The call has no credential, or one that is not valid.
    CallerUnauthenticated,
    /// The call's credential cannot be checked at the moment.
    CallerUnverifiable,
    /// The call has no valid credential, and neither had too many others from the same address.
    TooManyFailedAttempts,
    /// The caller may not do this.
    CallerNotAllowed,
    /// A caller, a group or a target has as many open calls as it may have.
    CallerStreamLimit,
    /// A caller, a group or a target has used up its requests or tokens for the moment.
    CallerRateLimit,
    /// A caller, a group or a target has used up its tokens or its money for the day or the month.
    CallerBudgetExhausted,
    /// A limit on money applies, and no price is configured for the model.
    PriceUnknown,
    /// The store that holds the counts of limits can't be asked, and the operator wants no calls without it.
    LimitStoreUnavailable,
    /// A web page of an origin that the operator does not allow.
    OriginNotAllowed,
    /// Bedrock refused the request's content.
    UpstreamValidation,
    /// The conversation is longer than the model's context window.
    ContextTooLong,
    /// The model can be called through an inference profile only.
    InferenceProfileRequired,
    /// The gateway's AWS identity may not call this model.
    UpstreamAccessDenied,
    /// The gateway's AWS credentials are missing, wrong or expired.
    UpstreamCredentials,
    /// Bedrock does not know the model, profile, prompt or guardrail, or it has been retired.
    UpstreamResource,
    /// Bedrock throttles.
    UpstreamThrottled,
    /// A daily quota at Bedrock is used up.
    UpstreamQuota,
    /// The model is still loading.
    ModelNotReady,
    /// Bedrock has no capacity for the moment.
    UpstreamUnavailable,
    /// Bedrock failed.
    UpstreamInternal,
    /// The model failed before it answered.
    ModelError,
    /// The model took longer than Bedrock allows.
    ModelTimeout,
    /// The model failed while it answered.
    ModelStreamError,
    /// Bedrock could not be reached: DNS, TCP, TLS, or a connection that broke.
    UpstreamConnect,
    /// Bedrock's stream ended before the answer did.
    UpstreamTruncated,
    /// Bedrock was silent for too long.
    UpstreamIdle,
    /// Bedrock's stream holds bytes that cannot be right.
    UpstreamCorrupt,
    /// An error of Bedrock's that this version does not know.
    UpstreamUnknown,
    /// This replica serves as many streams as it may.
    ReplicaSaturated,
    /// This replica is about to stop.
    Draining,
    /// The caller's deadline, or the gateway's cap on it.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// The caller stopped reading.
    ClientStalled,
    /// A message is larger than the limit.
    MessageTooLarge,
    /// Bytes that are no message, or one that is compressed in a way that was not said.
    MessageUnreadable,
    /// No such method, or an encoding that is not known.
    Unimplemented,
    /// A bug in the gateway: a panic.
    Panic,
    /// A bug in the gateway that it noticed by itself.
    Internal,
}

impl Reason {
    /// The reason's name in ErrorInfo, such as `UPSTREAM_THROTTLED`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::TargetUnknown => "TARGET_UNKNOWN",
            Self::TargetNotAllowed => "TARGET_NOT_ALLOWED",
            Self::TargetOutsideFence => "TARGET_OUTSIDE_FENCE",
            Self::CallerUnauthenticated => "CALLER_UNAUTHENTICATED",
            Self::CallerUnverifiable => "CALLER_UNVERIFIABLE",
            Self::TooManyFailedAttempts => "TOO_MANY_FAILED_ATTEMPTS",
            Self::CallerNotAllowed => "CALLER_NOT_ALLOWED",
            Self::CallerStreamLimit => "CALLER_STREAM_LIMIT",
            Self::CallerRateLimit => "CALLER_RATE_LIMIT",
            Self::CallerBudgetExhausted => "CALLER_BUDGET_EXHAUSTED",
            Self::PriceUnknown => "PRICE_UNKNOWN",
            Self::LimitStoreUnavailable => "LIMIT_STORE_UNAVAILABLE",
            Self::OriginNotAllowed => "ORIGIN_NOT_ALLOWED",
            Self::UpstreamValidation => "UPSTREAM_VALIDATION",
            Self::ContextTooLong => "CONTEXT_TOO_LONG",
            Self::InferenceProfileRequired => "INFERENCE_PROFILE_REQUIRED",
            Self::UpstreamAccessDenied => "UPSTREAM_ACCESS_DENIED",
            Self::UpstreamCredentials => "UPSTREAM_CREDENTIALS",
            Self::UpstreamResource => "UPSTREAM_RESOURCE",
            Self::UpstreamThrottled => "UPSTREAM_THROTTLED",
            Self::UpstreamQuota => "UPSTREAM_QUOTA",
            Self::ModelNotReady => "MODEL_NOT_READY",
            Self::UpstreamUnavailable => "UPSTREAM_UNAVAILABLE",
            Self::UpstreamInternal => "UPSTREAM_INTERNAL",
            Self::ModelError => "MODEL_ERROR",
            Self::ModelTimeout => "MODEL_TIMEOUT",
            Self::ModelStreamError => "MODEL_STREAM_ERROR",
            Self::UpstreamConnect => "UPSTREAM_CONNECT",
            Self::UpstreamTruncated => "UPSTREAM_TRUNCATED",
            Self::UpstreamIdle => "UPSTREAM_IDLE",
            Self::UpstreamCorrupt => "UPSTREAM_CORRUPT",
            Self::UpstreamUnknown => "UPSTREAM_UNKNOWN",
            Self::ReplicaSaturated => "REPLICA_SATURATED",
            Self::Draining => "DRAINING",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Cancelled => "CANCELLED",
            Self::ClientStalled => "CLIENT_STALLED",
            Self::MessageTooLarge => "MESSAGE_TOO_LARGE",
            Self::MessageUnreadable => "MESSAGE_UNREADABLE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Panic => "PANIC",
            Self::Internal => "INTERNAL",
        }
    }
}

/// How far a call had come when it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before a request could be sent: validation, routing, credentials, DNS, TCP, TLS.
    #[default]
    Connect,
    /// Before the first event was forwarded: nothing of the answer is lost.
    BeforeFirstEvent,
    /// After it: what was forwarded is valid but incomplete.
    MidStream,
}

/// What Bedrock itself said of a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Bedrock's name for the error, such as `ThrottlingException`. Empty if the failure was on the way.
    pub exception: String,
    /// Bedrock's message.
    pub message: String,
    /// The HTTP status. `None` in mid-stream.
    pub http_status: Option<u16>,
    /// `x-amzn-requestid`. Empty if Bedrock did not answer.
    pub request_id: String,
    /// For errors of the model: the status that the model itself gave.
    pub original_status: Option<u16>,
}

/// One rule that a request breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the proto's terms, such as `input.messages[0].content[1].image.format`.
    pub field: String,
    /// What is wrong and what would be right.
    pub description: String,
}

/// Why a call failed, with everything that the caller should know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why, in one word.
    pub reason: Reason,
    /// Why, for people. Public: it goes to the caller.
    pub message: String,
    /// How far the call had come.
    pub phase: Phase,
    /// What Bedrock said, if Bedrock or the way to it is the cause. Boxed: failures travel in results of hot functions.
    pub upstream: Option<Box<Upstream>>,
    /// When the same call may succeed, if something is known about that.
    pub retry_after: Option<Duration>,
    /// Every rule that the request breaks.
    pub violations: Vec<Violation>,
}

impl Failure {
    /// A failure that so far has no more than a reason and a message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            phase: Phase::default(),
            upstream: None,
            retry_after: None,
            violations: Vec::new(),
        }
    }

    /// The same failure, in this phase.
    #[must_use]
    pub fn in_phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// The same failure, with what Bedrock said of it.
    #[must_use]
    pub fn with_upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = Some(Box::new(upstream));
        self
    }

    /// The same failure, with a time after which the call may succeed.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.message)
    }
}

impl std::error::Error for Failure {}
