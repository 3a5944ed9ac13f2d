//! The reasons for which a call can fail, independent of gRPC: [`Failure`] and its [`Reason`].
//!
//! The layers below `grpc` return failures. `grpc::status` converts them into gRPC statuses.

use std::{fmt, time::Duration};

/// Defines [`Reason`], the name of each reason, and the list of all.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident => $name:literal,)+) => {
        /// Why a call failed. The name is the `reason` of the status's ErrorInfo. Its meaning never
        /// changes.
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
    /// The request breaks a rule that the gateway can check without calling Bedrock.
    InvalidRequest => "INVALID_REQUEST",
    /// The target is not an alias, and not a model ID or ARN that callers may use.
    TargetUnknown => "TARGET_UNKNOWN",
    /// The operator does not allow this model ID or ARN.
    TargetNotAllowed => "TARGET_NOT_ALLOWED",
    /// Requests to the target may be served outside of the operator's fence.
    TargetOutsideFence => "TARGET_OUTSIDE_FENCE",
    /// The call has no credential, or an invalid one.
    CallerUnauthenticated => "CALLER_UNAUTHENTICATED",
    /// The call's credential cannot be checked at the moment.
    CallerUnverifiable => "CALLER_UNVERIFIABLE",
    /// The call has no valid credential, and its address has sent too many such calls.
    TooManyFailedAttempts => "TOO_MANY_FAILED_ATTEMPTS",
    /// The caller does not have permission for the call.
    CallerNotAllowed => "CALLER_NOT_ALLOWED",
    /// A caller, a group or a target has reached its limit of open calls.
    CallerStreamLimit => "CALLER_STREAM_LIMIT",
    /// A caller, a group or a target has reached its rate limit of requests or tokens.
    CallerRateLimit => "CALLER_RATE_LIMIT",
    /// A caller, a group or a target has used up its daily or monthly budget of tokens or money.
    CallerBudgetExhausted => "CALLER_BUDGET_EXHAUSTED",
    /// A limit on money applies, and no price is configured for the model, for a unit by which
    /// Bedrock bills it, or for guardrails.
    PriceUnknown => "PRICE_UNKNOWN",
    /// The store of limits is unreachable, and the operator does not allow calls without it.
    LimitStoreUnavailable => "LIMIT_STORE_UNAVAILABLE",
    /// A web page made the call, and the operator does not allow its origin.
    OriginNotAllowed => "ORIGIN_NOT_ALLOWED",
    /// Bedrock rejected the request's content.
    UpstreamValidation => "UPSTREAM_VALIDATION",
    /// The conversation exceeds the model's context window.
    ContextTooLong => "CONTEXT_TOO_LONG",
    /// Bedrock does not count tokens for this model.
    CountTokensUnsupported => "COUNT_TOKENS_UNSUPPORTED",
    /// A setting that the operator enforces cannot be applied to a body in a model's own format.
    BodyNotEnforceable => "BODY_NOT_ENFORCEABLE",
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
    /// Bedrock throttles the call, because a quota is used up.
    UpstreamThrottled => "UPSTREAM_THROTTLED",
    /// A daily quota at Bedrock is used up.
    UpstreamQuota => "UPSTREAM_QUOTA",
    /// The model is still loading.
    ModelNotReady => "MODEL_NOT_READY",
    /// Bedrock has no capacity at the moment, or its endpoint does not work.
    UpstreamUnavailable => "UPSTREAM_UNAVAILABLE",
    /// Bedrock reported an internal error.
    UpstreamInternal => "UPSTREAM_INTERNAL",
    /// The model failed before its answer began.
    ModelError => "MODEL_ERROR",
    /// The model took longer than Bedrock allows.
    ModelTimeout => "MODEL_TIMEOUT",
    /// The model failed in the middle of its answer.
    ModelStreamError => "MODEL_STREAM_ERROR",
    /// The gateway could not reach Bedrock: DNS, TCP or TLS failed, or a connection broke.
    UpstreamConnect => "UPSTREAM_CONNECT",
    /// Bedrock's stream ended before the answer was complete.
    UpstreamTruncated => "UPSTREAM_TRUNCATED",
    /// Bedrock sent nothing for too long.
    UpstreamIdle => "UPSTREAM_IDLE",
    /// Bedrock's stream is malformed.
    UpstreamCorrupt => "UPSTREAM_CORRUPT",
    /// Bedrock returned an error that this version does not know.
    UpstreamUnknown => "UPSTREAM_UNKNOWN",
    /// This replica has reached its limit of open streams.
    ReplicaSaturated => "REPLICA_SATURATED",
    /// This replica is shutting down.
    Draining => "DRAINING",
    /// The call's deadline has passed. The caller or the gateway set it.
    DeadlineExceeded => "DEADLINE_EXCEEDED",
    /// The client cancelled the call or disconnected.
    Cancelled => "CANCELLED",
    /// The client stopped reading.
    ClientStalled => "CLIENT_STALLED",
    /// A message is larger than the limit.
    MessageTooLarge => "MESSAGE_TOO_LARGE",
    /// The bytes are not a valid message, or are compressed although the headers do not declare it.
    MessageUnreadable => "MESSAGE_UNREADABLE",
    /// The method or encoding is unknown.
    Unimplemented => "UNIMPLEMENTED",
    /// The gateway has a bug that caused a panic.
    Panic => "PANIC",
    /// The gateway has a bug that it has detected.
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
    /// After the first event was forwarded. The forwarded part is valid but incomplete.
    MidStream,
}

/// What Bedrock reported about a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Bedrock's name of the error, such as `ThrottlingException`. Empty if Bedrock did not report
    /// it.
    pub exception: String,
    /// Bedrock's message.
    pub message: String,
    /// The HTTP status. `None` for errors in the stream.
    pub http_status: Option<u16>,
    /// Bedrock's request ID, from `x-amzn-requestid`. Empty if Bedrock did not answer.
    pub request_id: String,
    /// The HTTP status that the model returned. Only for errors of the model.
    pub original_status: Option<u16>,
    /// The resource that failed, as Bedrock names it. Empty if unknown. Only for errors of the
    /// model.
    pub resource_name: String,
}

/// One rule that a request breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field in the proto, such as `input.messages[0].content[1].image.format`.
    pub field: String,
    /// What is wrong, and what to do.
    pub description: String,
}

/// The maximum number of violations that are kept of one request, so that they fit into the details
/// of a status.
pub const MAX_VIOLATIONS: usize = 50;

/// The violations of one request. Those beyond [`MAX_VIOLATIONS`] are counted, but not kept.
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

    /// Returns the number of violations that are kept.
    pub fn listed(&self) -> usize {
        self.kept.len()
    }

    /// Adds a violation. `make` is called only if the violation is kept: a message may break a rule
    /// a million times.
    pub fn add(&mut self, make: impl FnOnce() -> Violation) {
        if self.kept.len() == MAX_VIOLATIONS {
            self.left_out += 1;
        } else {
            self.kept.push(make());
        }
    }

    /// Counts violations that are not kept.
    pub const fn leave_out(&mut self, count: usize) {
        self.left_out += count;
    }

    /// Returns the violations in the order in which they were found, at most [`MAX_VIOLATIONS`]. If
    /// some were not kept, the last one gives their number, with `rest` as its field.
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

/// Why a call failed, with all details that the caller needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason, which is a stable name.
    pub reason: Reason,
    /// A description for the caller. It contains no host, account or role.
    pub message: String,
    /// Details for the operator, such as hosts, ports, accounts and causes. They are logged with
    /// the request ID and never sent to the caller. They contain no secret and no part of a prompt
    /// or an answer.
    pub detail: String,
    /// How far the call had progressed.
    pub phase: Phase,
    /// What Bedrock reported, if Bedrock or the connection to it is the cause. Boxed, so that
    /// results of frequently called functions stay small.
    pub upstream: Option<Box<Upstream>>,
    /// The time after which a retry may succeed, if it is known.
    pub retry_after: Option<Duration>,
    /// All rules that the request breaks.
    pub violations: Vec<Violation>,
}

impl Failure {
    /// Creates a failure from all violations of a request. Its message contains the first violation
    /// and the number of the others.
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

    /// Sets what Bedrock reported.
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
