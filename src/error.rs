//! What can go wrong with a call, said once and without gRPC: [`Failure`] and its [`Reason`].
//!
//! The layers below `grpc` speak in failures; `grpc::status` is the one table that makes statuses of them.

use std::{fmt, time::Duration};

/// Defines [`Reason`], the name of each reason, and the list of all.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident => $name:literal,)+) => {
        /// Why a call failed. Its name is the `reason` of the status's ErrorInfo and never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $reason,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$reason,)+];

            /// Returns the reason's name in ErrorInfo, such as `UPSTREAM_THROTTLED`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)+
                }
            }
        }
    };
}

reasons! {
    /// The request breaks a rule that can be known without asking Bedrock.
    InvalidRequest => "INVALID_REQUEST",
    /// No such alias, and not a model ID or ARN that callers may name.
    TargetUnknown => "TARGET_UNKNOWN",
    /// A model ID or ARN that the operator does not let callers name.
    TargetNotAllowed => "TARGET_NOT_ALLOWED",
    /// The target's requests may be served outside of where the operator wants them.
    TargetOutsideFence => "TARGET_OUTSIDE_FENCE",
    /// The call has no credential, or one that is not valid.
    CallerUnauthenticated => "CALLER_UNAUTHENTICATED",
    /// The call's credential cannot be checked at the moment.
    CallerUnverifiable => "CALLER_UNVERIFIABLE",
    /// The call has no valid credential, and neither had too many others from the same address.
    TooManyFailedAttempts => "TOO_MANY_FAILED_ATTEMPTS",
    /// The caller may not do this.
    CallerNotAllowed => "CALLER_NOT_ALLOWED",
    /// A caller, a group or a target has as many open calls as it may have.
    CallerStreamLimit => "CALLER_STREAM_LIMIT",
    /// A caller, a group or a target has used up its requests or tokens for the moment.
    CallerRateLimit => "CALLER_RATE_LIMIT",
    /// A caller, a group or a target has used up its tokens or its money for the day or the month.
    CallerBudgetExhausted => "CALLER_BUDGET_EXHAUSTED",
    /// A limit on money applies, and no price is configured for the model.
    PriceUnknown => "PRICE_UNKNOWN",
    /// The store that holds the counts of limits can't be asked, and the operator wants no calls without it.
    LimitStoreUnavailable => "LIMIT_STORE_UNAVAILABLE",
    /// A web page of an origin that the operator does not allow.
    OriginNotAllowed => "ORIGIN_NOT_ALLOWED",
    /// Bedrock refused the request's content.
    UpstreamValidation => "UPSTREAM_VALIDATION",
    /// The conversation is longer than the model's context window.
    ContextTooLong => "CONTEXT_TOO_LONG",
    /// The model can be called through an inference profile only.
    InferenceProfileRequired => "INFERENCE_PROFILE_REQUIRED",
    /// The gateway's AWS identity may not call this model.
    UpstreamAccessDenied => "UPSTREAM_ACCESS_DENIED",
    /// The gateway's AWS credentials are missing, wrong or expired.
    UpstreamCredentials => "UPSTREAM_CREDENTIALS",
    /// The gateway cannot obtain its AWS credentials at the moment: STS, IAM Identity Center, the
    /// instance metadata service or a credential process does not answer. A retry may succeed.
    CredentialsUnavailable => "CREDENTIALS_UNAVAILABLE",
    /// Bedrock does not know the model, profile, prompt or guardrail, or it has been retired.
    UpstreamResource => "UPSTREAM_RESOURCE",
    /// Bedrock throttles.
    UpstreamThrottled => "UPSTREAM_THROTTLED",
    /// A daily quota at Bedrock is used up.
    UpstreamQuota => "UPSTREAM_QUOTA",
    /// The model is still loading.
    ModelNotReady => "MODEL_NOT_READY",
    /// Bedrock has no capacity for the moment.
    UpstreamUnavailable => "UPSTREAM_UNAVAILABLE",
    /// Bedrock failed.
    UpstreamInternal => "UPSTREAM_INTERNAL",
    /// The model failed before it answered.
    ModelError => "MODEL_ERROR",
    /// The model took longer than Bedrock allows.
    ModelTimeout => "MODEL_TIMEOUT",
    /// The model failed while it answered.
    ModelStreamError => "MODEL_STREAM_ERROR",
    /// Bedrock could not be reached: DNS, TCP, TLS, or a connection that broke.
    UpstreamConnect => "UPSTREAM_CONNECT",
    /// Bedrock's stream ended before the answer did.
    UpstreamTruncated => "UPSTREAM_TRUNCATED",
    /// Bedrock was silent for too long.
    UpstreamIdle => "UPSTREAM_IDLE",
    /// Bedrock's stream holds bytes that cannot be right.
    UpstreamCorrupt => "UPSTREAM_CORRUPT",
    /// An error of Bedrock's that this version does not know.
    UpstreamUnknown => "UPSTREAM_UNKNOWN",
    /// This replica serves as many streams as it may.
    ReplicaSaturated => "REPLICA_SATURATED",
    /// This replica is about to stop.
    Draining => "DRAINING",
    /// The caller's deadline, or the gateway's cap on it.
    DeadlineExceeded => "DEADLINE_EXCEEDED",
    /// The caller went away.
    Cancelled => "CANCELLED",
    /// The caller stopped reading.
    ClientStalled => "CLIENT_STALLED",
    /// A message is larger than the limit.
    MessageTooLarge => "MESSAGE_TOO_LARGE",
    /// Bytes that are no message, or one that is compressed in a way that was not said.
    MessageUnreadable => "MESSAGE_UNREADABLE",
    /// No such method, or an encoding that is not known.
    Unimplemented => "UNIMPLEMENTED",
    /// A bug in the gateway: a panic.
    Panic => "PANIC",
    /// A bug in the gateway that it noticed by itself.
    Internal => "INTERNAL",
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
    /// Why, for people. Public: it is sent to the caller, so it names no host, account or role.
    pub message: String,
    /// What only the operator should read, such as hosts, ports, accounts and causes. It is logged
    /// with the request ID and never sent. Holds no secret and no part of a prompt or an answer.
    pub detail: String,
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
    /// All violations of a request as one failure. Its message holds the first, and says how many more there are.
    pub fn invalid_request(violations: Vec<Violation>) -> Self {
        let message = match violations.as_slice() {
            [] => "the request is not valid".to_owned(),
            [only] => format!("{}: {}", only.field, only.description),
            [first, rest @ ..] => format!(
                "{}: {} (and {} more, see the details)",
                first.field,
                first.description,
                rest.len()
            ),
        };
        Self {
            violations,
            ..Self::new(Reason::InvalidRequest, message)
        }
    }

    /// A failure that so far has no more than a reason and a message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            detail: String::new(),
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

    /// The same failure, with what only the operator should read.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = detail.to_string();
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
