//! What a failure means for the call: whether another attempt can help.

use crate::error::Reason;

/// Whether another attempt can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// On any route, after a pause on the same one, too.
    AnyRoute,
    /// On another route only.
    Elsewhere,
    /// On none: the caller or the operator has to change something, or Bedrock has worked, and billed, for the call.
    Final,
}

impl Verdict {
    pub(super) fn of(reason: Reason) -> Self {
        match reason {
            Reason::UpstreamThrottled
            | Reason::UpstreamUnavailable
            | Reason::UpstreamInternal
            | Reason::UpstreamConnect
            | Reason::UpstreamTruncated
            | Reason::ModelNotReady => Self::AnyRoute,
            // A daily quota is used up, or a limit of minutes is over.
            Reason::UpstreamQuota | Reason::UpstreamIdle => Self::Elsewhere,
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
            | Reason::ContextTooLong
            | Reason::InferenceProfileRequired
            | Reason::UpstreamAccessDenied
            | Reason::UpstreamCredentials
            | Reason::UpstreamResource
            | Reason::ModelError
            | Reason::ModelTimeout
            | Reason::ModelStreamError
            | Reason::UpstreamCorrupt
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
