//! Decides after a failure whether another attempt can help: a retry, a failover, or neither.

use crate::error::{Failure, Reason};

/// Which further attempts can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// An attempt on any route, after a pause if it is the same route.
    AnyRoute,
    /// An attempt on another route only.
    Elsewhere,
    /// No attempt. The caller or the operator must change something, or Bedrock has already done
    /// the work and billed it.
    Final,
}

impl RetryDecision {
    /// Returns the decision about a failure. Other routes are tried before the caller is asked to
    /// retry.
    pub(super) fn of(failure: &Failure) -> Self {
        let upstream = failure.upstream.as_deref();
        match failure.reason {
            // The HTTP status decides about an error that this version does not recognize. For an
            // error of the model, this is the status that the model returned.
            Reason::UpstreamUnknown
                if matches!(upstream.and_then(|up| up.http_status), Some(429 | 500..=599)) =>
            {
                Self::AnyRoute
            }
            Reason::ModelError
                if matches!(upstream.and_then(|up| up.original_status), Some(429 | 500..=599)) =>
            {
                Self::AnyRoute
            }
            Reason::UpstreamThrottled
            | Reason::UpstreamUnavailable
            | Reason::UpstreamInternal
            | Reason::UpstreamConnect
            | Reason::UpstreamTruncated
            | Reason::ModelNotReady => Self::AnyRoute,
            // In these cases, a daily quota is used up, a limit per minute was exceeded, or a
            // device on the path corrupts bytes.
            Reason::UpstreamQuota | Reason::UpstreamIdle | Reason::UpstreamCorrupt => {
                Self::Elsewhere
            }
            Reason::InvalidRequest
            | Reason::TargetUnknown
            | Reason::TargetNotAllowed
            | Reason::TargetOutsideFence
            | Reason::CallerUnauthenticated
            | Reason::CallerUnverifiable
            | Reason::TooManyFailedAttempts
            | Reason::CallerNotAllowed
            | Reason::CallerStreamLimit
            | Reason::CallerRateLimit
            | Reason::CallerBudgetExhausted
            | Reason::PriceUnknown
            | Reason::LimitStoreUnavailable
            | Reason::OriginNotAllowed
            | Reason::UpstreamValidation
            | Reason::CountTokensUnsupported
            | Reason::BodyNotEnforceable
            | Reason::ContextTooLong
            | Reason::InferenceProfileRequired
            | Reason::UpstreamAccessDenied
            | Reason::UpstreamCredentials
            // The identity is the cause, and routes of other accounts have already been tried.
            | Reason::CredentialsUnavailable
            | Reason::UpstreamResource
            | Reason::ModelError
            | Reason::ModelTimeout
            | Reason::ModelStreamError
            | Reason::UpstreamUnknown
            | Reason::ReplicaSaturated
            | Reason::Draining
            | Reason::DeadlineExceeded
            | Reason::Cancelled
            | Reason::ClientStalled
            | Reason::MessageTooLarge
            | Reason::MessageUnreadable
            | Reason::Unimplemented
            | Reason::Panic
            | Reason::Internal => Self::Final,
        }
    }
}
