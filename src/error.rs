//! Why a call failed, without gRPC: [`Failure`] and its [`Reason`].
//!
//! The layers below `grpc` return failures. `grpc::status` converts them into gRPC statuses.

use std::{fmt, time::Duration};

/// Defines [`Reason`], the name of each reason, and the list of all.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident => $name:literal,)+) => {
        /// Why a call failed. Its name is the `reason` of the status's ErrorInfo and never changes
        /// its meaning.
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
    /// The request breaks a rule that the gateway can check without Bedrock.
    InvalidRequest => "INVALID_REQUEST",
    /// No such alias, and not a model ID or ARN that callers may use.
    TargetUnknown => "TARGET_UNKNOWN",
    /// A model ID or ARN that the operator does not allow.
    TargetNotAllowed => "TARGET_NOT_ALLOWED",
    /// The target's requests may be served outside of the operator's fence.
    TargetOutsideFence => "TARGET_OUTSIDE_FENCE",
    /// The call has no credential, or an invalid one.
    CallerUnauthenticated => "CALLER_UNAUTHENTICATED",
    /// The call's credential cannot be checked at the moment.
    CallerUnverifiable => "CALLER_UNVERIFIABLE",
    /// The call has no valid credential, after too many other such calls from the same address.
    TooManyFailedAttempts => "TOO_MANY_FAILED_ATTEMPTS",
    /// The caller does not have the permission.
    CallerNotAllowed => "CALLER_NOT_ALLOWED",
    /// A caller, a group or a target has reached its limit of open calls.
    CallerStreamLimit => "CALLER_STREAM_LIMIT",
    /// A caller, a group or a target has reached its rate limit of requests or tokens.
    CallerRateLimit => "CALLER_RATE_LIMIT",
    /// A caller, a group or a target has used up its daily or monthly budget of tokens or money.
    CallerBudgetExhausted => "CALLER_BUDGET_EXHAUSTED",
    /// A limit on money applies, and no price is configured for the model.
    PriceUnknown => "PRICE_UNKNOWN",
    /// The store of the limits' counts is unreachable, and the operator wants no calls without it.
    LimitStoreUnavailable => "LIMIT_STORE_UNAVAILABLE",
    /// A web page from an origin that the operator does not allow.
    OriginNotAllowed => "ORIGIN_NOT_ALLOWED",
    /// Bedrock rejected the request's content.
    UpstreamValidation => "UPSTREAM_VALIDATION",
    /// The conversation exceeds the model's context window.
    ContextTooLong => "CONTEXT_TOO_LONG",
    /// The model can be called only through an inference profile.
    InferenceProfileRequired => "INFERENCE_PROFILE_REQUIRED",
    /// The gateway's AWS identity may not call this model.
    UpstreamAccessDenied => "UPSTREAM_ACCESS_DENIED",
    /// The gateway's AWS credentials are missing, wrong or expired. The operator must act.
    UpstreamCredentials => "UPSTREAM_CREDENTIALS",
    /// The gateway cannot obtain its AWS credentials at the moment: STS, IAM Identity Center, the
    /// instance metadata service or a credential process does not respond. A retry may succeed.
    CredentialsUnavailable => "CREDENTIALS_UNAVAILABLE",
    /// The model, profile, prompt or guardrail does not exist in the source Region, or is retired.
    UpstreamResource => "UPSTREAM_RESOURCE",
    /// Bedrock throttles.
    UpstreamThrottled => "UPSTREAM_THROTTLED",
    /// A daily quota at Bedrock is used up.
    UpstreamQuota => "UPSTREAM_QUOTA",
    /// The model is still loading.
    ModelNotReady => "MODEL_NOT_READY",
    /// Bedrock has no capacity at the moment, or its endpoint is out of order.
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
    /// Bedrock's stream is malformed.
    UpstreamCorrupt => "UPSTREAM_CORRUPT",
    /// An error from Bedrock that this version does not know.
    UpstreamUnknown => "UPSTREAM_UNKNOWN",
    /// This replica has reached its limit of open streams.
    ReplicaSaturated => "REPLICA_SATURATED",
    /// This replica is shutting down.
    Draining => "DRAINING",
    /// The call's deadline has passed: the caller's, or the gateway's limit.
    DeadlineExceeded => "DEADLINE_EXCEEDED",
    /// The client cancelled the call or disconnected.
    Cancelled => "CANCELLED",
    /// The client stopped reading.
    ClientStalled => "CLIENT_STALLED",
    /// A message is larger than the limit.
    MessageTooLarge => "MESSAGE_TOO_LARGE",
    /// The bytes are not a message, or are compressed in an undeclared way.
    MessageUnreadable => "MESSAGE_UNREADABLE",
    /// Unknown method or encoding.
    Unimplemented => "UNIMPLEMENTED",
    /// A bug in the gateway: a panic.
    Panic => "PANIC",
    /// A bug in the gateway that the gateway has detected.
    Internal => "INTERNAL",
}

/// How far a call had progressed when it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Before the request was sent: validation, routing, credentials, DNS, TCP, TLS.
    #[default]
    Connect,
    /// After the request was sent, and before the first event was forwarded.
    BeforeFirstEvent,
    /// After the first event was forwarded. The forwarded part is valid and incomplete.
    MidStream,
}

/// Bedrock's part of a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Bedrock's name of the error, such as `ThrottlingException`. Empty if Bedrock did not report
    /// it.
    pub exception: String,
    /// Bedrock's message.
    pub message: String,
    /// The HTTP status. `None` for errors in the stream.
    pub http_status: Option<u16>,
    /// `x-amzn-requestid`. Empty if Bedrock did not answer.
    pub request_id: String,
    /// For errors of the model: the model's own status.
    pub original_status: Option<u16>,
}

/// One rule that a request breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the proto, such as `input.messages[0].content[1].image.format`.
    pub field: String,
    /// What is wrong, and what would be valid.
    pub description: String,
}

/// The most violations that are kept of one request: more don't fit into the details of a status.
pub const MAX_VIOLATIONS: usize = 50;

/// The violations of one request. Those beyond [`MAX_VIOLATIONS`] are counted and not kept.
#[derive(Debug, Default)]
pub struct ViolationList {
    kept: Vec<Violation>,
    left_out: usize,
}

impl ViolationList {
    /// Returns an empty list. It allocates nothing until there is a violation.
    pub const fn new() -> Self {
        Self {
            kept: Vec::new(),
            left_out: 0,
        }
    }

    /// Returns whether no violation was found.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.left_out == 0
    }

    /// Adds a violation. `make` is called only if it is kept: a message may break a rule a million
    /// times.
    pub fn add(&mut self, make: impl FnOnce() -> Violation) {
        if self.kept.len() == MAX_VIOLATIONS {
            self.left_out += 1;
        } else {
            self.kept.push(make());
        }
    }

    /// Counts violations that were found and not kept.
    pub const fn leave_out(&mut self, count: usize) {
        self.left_out += count;
    }

    /// Returns the violations in the order in which they were found, at most [`MAX_VIOLATIONS`]. If
    /// some were left out, the last one says how many; `rest` is its field.
    pub fn finish(mut self, rest: &str) -> Vec<Violation> {
        if self.left_out > 0 {
            let listed = self.kept.len().min(MAX_VIOLATIONS - 1);
            let left_out = self.kept.len() - listed + self.left_out;
            self.kept.truncate(listed);
            self.kept.push(Violation {
                field: rest.to_owned(),
                description: format!("violates {left_out} more rules, which are not listed here"),
            });
        }
        self.kept
    }
}

/// Why a call failed, with everything that the caller should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable name of the cause.
    pub reason: Reason,
    /// The cause in words. It is sent to the caller, so it contains no host, account or role.
    pub message: String,
    /// Details for the operator, such as hosts, ports, accounts and causes. They are logged with
    /// the request ID and never sent. They contain no secret and no part of a prompt or an answer.
    pub detail: String,
    /// How far the call had progressed.
    pub phase: Phase,
    /// Bedrock's part, if Bedrock or the connection to it is the cause. Boxed, because results of
    /// hot functions contain failures.
    pub upstream: Option<Box<Upstream>>,
    /// The time after which a retry may succeed, if it is known.
    pub retry_after: Option<Duration>,
    /// Every rule that the request breaks.
    pub violations: Vec<Violation>,
}

impl Failure {
    /// Creates a failure from all violations of a request. Its message contains the first one and
    /// the number of others.
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

    /// Creates a failure from a reason and a message.
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

    /// Sets the phase.
    #[must_use]
    pub fn in_phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// Sets Bedrock's part.
    #[must_use]
    pub fn with_upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = Some(Box::new(upstream));
        self
    }

    /// Sets the details for the operator.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// Sets the time after which a retry may succeed.
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
