//! Decides whether another attempt can help after a failure.

use crate::error::{Failure, Reason};

/// Whether another attempt can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RetryVerdict {
    /// On any route; on the same one after a pause.
    AnyRoute,
    /// On another route only.
    Elsewhere,
    /// On no route: the caller or the operator has to change something, or Bedrock has worked for
    /// the call and billed it.
    Final,
}

impl RetryVerdict {
    /// Returns the verdict. If a status would ask the caller to retry, the gateway fails over
    /// first.
    pub(super) fn of(failure: &Failure) -> Self {
        let upstream = failure.upstream.as_deref();
        match failure.reason {
            // An error that this version does not know, by its HTTP status; an error of the model,
            // by the status that the model gave.
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
            // A daily quota is used up, a limit of minutes is over, or something between here and
            // Bedrock spoils bytes.
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
            | Reason::ContextTooLong
            | Reason::InferenceProfileRequired
            | Reason::UpstreamAccessDenied
            | Reason::UpstreamCredentials
            // All routes share one identity, so no other route can help.
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
