//! How a route is, as its calls show it. A route is one model ID in one source Region; all workers share what is known of it.
//!
//! | file | job |
//! |---|---|
//! | `breaker` | leaves a route alone that fails, and probes whether it has recovered |
//! | `cool_down` | leaves a route alone that Bedrock throttles |
//! | `load` | open calls and the time to their first event, to find the least loaded of several |

mod breaker;
mod cool_down;
mod jitter;
mod load;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

pub use self::breaker::BreakerState;
use self::{breaker::Breaker, cool_down::CoolDown, load::Load};
use crate::error::{Failure, Reason};

/// How a route is. Cheap to clone; all clones speak of the same route.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    breaker: Breaker,
    cool_down: CoolDown,
    load: Load,
    /// Whether any call has come to an end here that says something of the route.
    tried: bool,
}

/// Whether a route should be called now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It should.
    Available,
    /// It should not before this moment, because Bedrock throttles.
    ThrottledUntil(Instant),
    /// It should not before this moment, because it fails.
    OpenUntil(Instant),
}

impl Availability {
    /// When the route should be called again. `None`: now.
    pub fn until(self) -> Option<Instant> {
        match self {
            Self::Available => None,
            Self::ThrottledUntil(until) | Self::OpenUntil(until) => Some(until),
        }
    }
}

/// What is known of a route at a moment, for people and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whether it should be called.
    pub availability: Availability,
    /// What its failures made of it.
    pub breaker: BreakerState,
    /// Until when it is left alone because Bedrock throttles it.
    pub cools_until: Option<Instant>,
    /// Whether anything is known of it.
    pub tried: bool,
    /// Calls that are open now.
    pub open_calls: u32,
}

/// What a failure says of the route that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    /// The route is throttled.
    Throttled,
    /// The route is broken.
    Broken,
    /// Nothing: the request, the caller or the operator has to change.
    Nobody,
}

impl Blame {
    fn of(failure: &Failure) -> Self {
        match failure.reason {
            // An error that this version does not know counts by its HTTP status.
            Reason::UpstreamUnknown => match failure.upstream.as_deref() {
                Some(upstream) if upstream.http_status == Some(429) => Self::Throttled,
                Some(upstream) if matches!(upstream.http_status, Some(500..=599)) => Self::Broken,
                _ => Self::Nobody,
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
            | Reason::Internal => Self::Nobody,
        }
    }
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the route should be called now.
    pub fn availability(&self, now: Instant) -> Availability {
        self.state().availability(now)
    }

    /// How much there is to do for it now: lower is better. In seconds of waiting, roughly.
    pub fn load(&self, now: Instant) -> f64 {
        self.state().load.score(now)
    }

    /// What is known of it.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let state = self.state();
        Snapshot {
            availability: state.availability(now),
            breaker: state.breaker.state(now),
            cools_until: state.cool_down.until(now),
            tried: state.tried,
            open_calls: state.load.open(),
        }
    }

    /// A call begins. While a broken route is being probed, that is one call at a time: `None` for another one, unless it `insists`.
    pub fn lease(&self, now: Instant, insists: bool) -> Option<Lease> {
        let mut state = self.state();
        if !insists && state.availability(now) != Availability::Available {
            return None;
        }
        let probe = state.breaker.begin(now);
        state.load.begin();
        drop(state);
        Some(Lease {
            health: self.clone(),
            began: now,
            probe,
            answers: false,
        })
    }
}

impl State {
    fn availability(&self, now: Instant) -> Availability {
        if let Some(until) = self.cool_down.until(now) {
            return Availability::ThrottledUntil(until);
        }
        match self.breaker.closed_until(now) {
            Some(until) => Availability::OpenUntil(until),
            None => Availability::Available,
        }
    }
}

/// A call on a route, from its beginning to its end. What becomes of it is told here; dropped without a word, it says nothing of the route:
/// the caller went away.
#[derive(Debug)]
pub struct Lease {
    health: Health,
    began: Instant,
    /// Whether the call tries out a route that was broken.
    probe: bool,
    answers: bool,
}

impl Lease {
    /// Bedrock's first event is there.
    pub fn answers(&mut self, now: Instant) {
        if std::mem::replace(&mut self.answers, true) {
            return;
        }
        let mut state = self.health.state();
        state.tried = true;
        state
            .load
            .answers(now, now.saturating_duration_since(self.began));
        state.cool_down.answered(now);
        if std::mem::take(&mut self.probe) {
            state.breaker.probe_answered();
        }
    }

    /// The answer is whole.
    pub fn succeeded(self) {
        self.health.state().breaker.succeeded();
    }

    /// The call failed.
    pub fn failed(mut self, failure: &Failure, now: Instant) {
        let mut state = self.health.state();
        match Blame::of(failure) {
            Blame::Throttled => {
                state.tried = true;
                let used_up = failure.reason == Reason::UpstreamQuota;
                state
                    .cool_down
                    .throttled(now, failure.retry_after, used_up, fastrand::f64());
                // It did answer, so it is not broken.
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
            // Bedrock refused the request itself: whoever can do that works.
            Blame::Nobody
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
            Blame::Nobody => {}
        }
    }
}

impl Drop for Lease {
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
