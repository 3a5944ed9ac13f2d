//! Tracks the health of a route, as observed by the calls of this replica. All workers share it.
//!
//! | file | job |
//! |---|---|
//! | `breaker` | skips a route that fails, and probes whether it has recovered |
//! | `cooldown` | the cooldown: skips a route that Bedrock throttles |
//! | `load` | measures open calls and the time to the first event, to compare routes |
//! | `jitter` | randomizes times |

mod breaker;
mod cooldown;
mod jitter;
mod load;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

pub use self::breaker::BreakerState;
use self::{breaker::Breaker, cooldown::Cooldown, load::RouteLoad};
use crate::error::{Failure, Reason};

/// The health of a route. Cheap to clone; all clones share the same route.
#[derive(Clone, Debug, Default)]
pub struct RouteHealth(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    breaker: Breaker,
    cooldown: Cooldown,
    load: RouteLoad,
    /// Whether any call has shown whether the route works.
    tried: bool,
}

/// Whether a route is called or skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// The route is called.
    Available,
    /// The route is skipped until this time, because Bedrock throttles it.
    ThrottledUntil(Instant),
    /// The route is skipped until this time, because it fails.
    OpenUntil(Instant),
    /// The route is skipped until this time, because the AWS identity that would call it fails.
    IdentityFailsUntil(Instant),
}

impl Availability {
    /// Returns the time until which the route is skipped. `None` if it is not skipped.
    pub fn until(self) -> Option<Instant> {
        match self {
            Self::Available => None,
            Self::ThrottledUntil(until)
            | Self::OpenUntil(until)
            | Self::IdentityFailsUntil(until) => Some(until),
        }
    }
}

/// The health of a route at one time, for `TargetService` and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthSnapshot {
    /// Whether the route is called or skipped.
    pub availability: Availability,
    /// The state of the breaker.
    pub breaker: BreakerState,
    /// The end of the cooldown, if there is one.
    pub cools_until: Option<Instant>,
    /// Whether any call has shown whether the route works.
    pub tried: bool,
    /// The number of open calls.
    pub open_calls: u32,
}

/// What a failure shows about its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    /// The route is throttled.
    Throttled,
    /// The route does not work.
    Broken,
    /// The failure shows nothing about the route. The request, the caller or the configuration is
    /// the cause.
    NotTheRoute,
}

impl Blame {
    fn of(failure: &Failure) -> Self {
        match failure.reason {
            // The HTTP status decides about an error that this version does not recognize.
            Reason::UpstreamUnknown => match failure.upstream.as_deref() {
                Some(upstream) if upstream.http_status == Some(429) => Self::Throttled,
                Some(upstream) if matches!(upstream.http_status, Some(500..=599)) => Self::Broken,
                _ => Self::NotTheRoute,
            },
            Reason::UpstreamThrottled | Reason::UpstreamQuota => Self::Throttled,
            Reason::UpstreamUnavailable
            | Reason::UpstreamInternal
            | Reason::UpstreamConnect
            | Reason::UpstreamTruncated
            | Reason::UpstreamIdle
            | Reason::UpstreamCorrupt
            | Reason::ModelNotReady
            | Reason::ModelError
            | Reason::ModelTimeout
            | Reason::ModelStreamError => Self::Broken,
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
            | Reason::CredentialsUnavailable
            | Reason::UpstreamResource
            | Reason::ReplicaSaturated
            | Reason::Draining
            | Reason::DeadlineExceeded
            | Reason::Cancelled
            | Reason::ClientStalled
            | Reason::MessageTooLarge
            | Reason::MessageUnreadable
            | Reason::Unimplemented
            | Reason::Panic
            | Reason::Internal => Self::NotTheRoute,
        }
    }
}

impl RouteHealth {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the route is called or skipped now.
    pub fn availability(&self, now: Instant) -> Availability {
        self.state().availability(now)
    }

    /// Returns the load, which is roughly the waiting time in seconds. Lower is better.
    pub fn load(&self, now: Instant) -> f64 {
        self.state().load.score(now)
    }

    /// Returns the health at this time.
    pub fn snapshot(&self, now: Instant) -> HealthSnapshot {
        let state = self.state();
        HealthSnapshot {
            availability: state.availability(now),
            breaker: state.breaker.state(now),
            cools_until: state.cooldown.until(now),
            tried: state.tried,
            open_calls: state.load.open(),
        }
    }

    /// Begins a call. Returns `None` if the route is skipped, or if another call is probing it. If
    /// `insists` is true, the call begins in any case.
    pub fn permit(&self, now: Instant, insists: bool) -> Option<RoutePermit> {
        let mut state = self.state();
        if !insists && state.availability(now) != Availability::Available {
            return None;
        }
        let probe = state.breaker.begin(now);
        state.load.begin();
        drop(state);
        Some(RoutePermit {
            health: self.clone(),
            began: now,
            probe,
            answers: false,
        })
    }
}

impl State {
    fn availability(&self, now: Instant) -> Availability {
        if let Some(until) = self.cooldown.until(now) {
            return Availability::ThrottledUntil(until);
        }
        match self.breaker.skipped_until(now) {
            Some(until) => Availability::OpenUntil(until),
            None => Availability::Available,
        }
    }
}

/// The permission to make one attempt on a route, which reports the attempt's outcome to the
/// route's health. If it is dropped without an outcome, for example because the client cancelled
/// the call, the health does not change.
#[derive(Debug)]
pub struct RoutePermit {
    health: RouteHealth,
    began: Instant,
    /// Whether the call is a probe.
    probe: bool,
    answers: bool,
}

impl RoutePermit {
    /// Reports Bedrock's first event.
    pub fn answers(&mut self, now: Instant) {
        if std::mem::replace(&mut self.answers, true) {
            return;
        }
        let mut state = self.health.state();
        state.tried = true;
        state
            .load
            .answers(now, now.saturating_duration_since(self.began));
        state.cooldown.answered(now);
        if std::mem::take(&mut self.probe) {
            state.breaker.probe_answered();
        }
    }

    /// Reports a complete answer.
    pub fn succeeded(self) {
        self.health.state().breaker.succeeded();
    }

    /// Reports a failure.
    pub fn failed(mut self, failure: &Failure, now: Instant) {
        let mut state = self.health.state();
        match Blame::of(failure) {
            Blame::Throttled => {
                state.tried = true;
                let used_up = failure.reason == Reason::UpstreamQuota;
                state
                    .cooldown
                    .throttled(now, failure.retry_after, used_up, fastrand::f64());
                // Bedrock has responded, so the route works and the probe has succeeded.
                if std::mem::take(&mut self.probe) {
                    state.breaker.probe_answered();
                }
            }
            Blame::Broken => {
                state.tried = true;
                self.probe = false;
                state
                    .breaker
                    .failed(now, failure.retry_after, fastrand::f64());
            }
            // Bedrock itself refused the request, so the route works.
            Blame::NotTheRoute
                if failure
                    .upstream
                    .as_ref()
                    .is_some_and(|up| up.http_status.is_some()) =>
            {
                state.tried = true;
                if std::mem::take(&mut self.probe) {
                    state.breaker.probe_answered();
                }
            }
            Blame::NotTheRoute => {}
        }
    }
}

impl Drop for RoutePermit {
    fn drop(&mut self) {
        let mut state = self.health.state();
        state.load.end();
        if self.probe {
            state.breaker.probe_gone();
        }
    }
}

#[cfg(test)]
mod tests;
