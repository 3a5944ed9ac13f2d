//! Makes the attempts of a call, until the first event arrives.
//!
//! An attempt succeeds with Bedrock's first event. If the first frame of a response with status 200
//! is an error, that is an error before the first event. After the first event, no other attempt is
//! made.
//!
//! Each route is tried once, without a pause between routes, because another route has a separate
//! quota and capacity. Then routes are retried, after a backoff with full jitter. Every attempt
//! after a call's first one is taken from the [`RetryBudget`], which all calls share.

mod log;
mod retry_decision;

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

pub use self::log::{Attempt, AttemptLog};
use self::retry_decision::RetryDecision;
use super::{
    health::{Availability, RoutePermit},
    identity_health::IdentityFault,
    retry_budget::RetryBudget,
    route::Route,
    route_selection::{NextStep, RouteSelection},
    target::RouteCandidate,
};
use crate::{
    bedrock::MemoryWait,
    error::{Failure, Phase, Reason, Upstream},
};

/// The upper limit of the first backoff. It doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The upper limit of every backoff. If Bedrock asks for a longer delay, the gateway does not
/// retry, and returns the delay to the caller.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The retry delay for calls whose answers ended before their first event.
const RETRY_TRUNCATED_AFTER: Duration = Duration::from_secs(1);
/// The maximum wait if all routes are skipped. If the wait would be longer, the call is refused, so
/// that the caller can use another target. Waiting for an exhausted quota would delay every answer.
const SHORT_WAIT: Duration = Duration::from_millis(100);

/// The rules for the attempts of a call.
#[derive(Clone, Debug)]
pub struct AttemptPolicy {
    /// The maximum number of attempts of a call. A call that has more routes than this can make one
    /// attempt per route.
    pub attempt_allowance: u32,
    /// The time limit for Bedrock's first event, per attempt.
    pub first_event: Duration,
    /// Whether the first event waits for memory. The time limit does not apply meanwhile.
    pub memory_wait: MemoryWait,
    /// The deadline of the call. No attempt begins after it.
    pub deadline: Instant,
    /// The retry budget of all calls of the process.
    pub budget: RetryBudget,
    /// The caller, if a separate AWS identity signs its calls. If `None`, the identity that callers
    /// share signs them.
    pub session_owner: Option<Arc<str>>,
}

/// Returns whether a call that failed in this way may succeed on another route. `other_account` is
/// true if another identity calls that route.
pub(crate) fn may_succeed_elsewhere(failure: &Failure, other_account: bool) -> bool {
    (other_account && IdentityFault::of(failure).is_some())
        || RetryDecision::of(failure) != RetryDecision::Final
}

/// A successful attempt.
#[derive(Debug)]
pub struct Opened<T> {
    /// Bedrock's request ID.
    pub request_id: String,
    /// The answer.
    pub answer: T,
}

/// An answer whose first event has arrived, with its route.
#[derive(Debug)]
pub struct Begun<T> {
    /// The route of the answer.
    pub route: Arc<Route>,
    /// The permit with which the outcome of the call is reported to the route's health.
    pub permit: RoutePermit,
    /// Bedrock's request ID.
    pub request_id: String,
    /// The answer.
    pub answer: T,
}

/// Makes attempts until an answer begins, within the policy.
///
/// Returns the failure of the last attempt. If there was no attempt, returns why all routes are
/// skipped.
pub async fn begin<T, F>(
    candidates: Vec<RouteCandidate>,
    policy: AttemptPolicy,
    log: AttemptLog,
    mut attempt: impl FnMut(Arc<Route>) -> F,
) -> Result<Begun<T>, Failure>
where
    F: Future<Output = Result<Opened<T>, Failure>>,
{
    policy.budget.deposit();
    let mut progress = CallProgress::new(candidates, policy);
    loop {
        let (index, route, permit) = progress.next().await?;
        log.begin(&route);
        let outcome = progress.within_limit(attempt(Arc::clone(&route))).await;
        let now = Instant::now();
        match outcome {
            Ok(Opened { request_id, answer }) => {
                log.answered(&request_id);
                let mut permit = permit;
                permit.answers(now);
                progress.choice.answered(index);
                return Ok(Begun {
                    route,
                    permit,
                    request_id,
                    answer,
                });
            }
            Err(failure) => {
                log.failed(&failure);
                permit.failed(&failure, now);
                progress.failed(index, failure)?;
            }
        }
    }
}

/// The state of a call's attempts.
struct CallProgress {
    choice: RouteSelection,
    policy: AttemptPolicy,
    made: u32,
    /// The failure of the last attempt.
    last: Option<Failure>,
    /// Whether the last attempt failed because of its identity. If so, the next attempt is not
    /// taken from the budget: it is in another account, so it does not make an outage worse.
    identity_failed: bool,
}

impl CallProgress {
    fn new(candidates: Vec<RouteCandidate>, policy: AttemptPolicy) -> Self {
        Self {
            choice: RouteSelection::new(candidates, policy.session_owner.clone()),
            policy,
            made: 0,
            last: None,
            identity_failed: false,
        }
    }

    /// Returns the route of the next attempt, after a wait if one is necessary.
    async fn next(&mut self) -> Result<(usize, Arc<Route>, RoutePermit), Failure> {
        let most = self
            .policy
            .attempt_allowance
            .max(u32::try_from(self.choice.len()).unwrap_or(u32::MAX));
        // The wait was already taken from the budget, so the attempt after it is free.
        let mut rested = false;
        loop {
            let now = Instant::now();
            if self.made >= most || (self.made > 0 && now >= self.policy.deadline) {
                return Err(self.give_up());
            }
            match self.choice.next(now, &mut fastrand::f64) {
                NextStep::Take(index, permit) => {
                    let is_free = self.made == 0 || rested || self.identity_failed;
                    if !is_free && !self.policy.budget.withdraw() {
                        return Err(self.give_up());
                    }
                    return self.take(index, permit);
                }
                NextStep::Again(index) => {
                    if !rested {
                        let pause = self.last.as_ref().and_then(|last| pause(last, self.made));
                        self.rest(pause).await?;
                        rested = true;
                    }
                    let alone = self.choice.len() == 1;
                    let permit = self.choice.permit(index, Instant::now(), alone);
                    if let Some(permit) = permit {
                        return self.take(index, permit);
                    }
                }
                NextStep::Wait(until, availability) => {
                    let wait = until.saturating_duration_since(now);
                    if std::mem::take(&mut self.identity_failed) {
                        self.last = None;
                    }
                    let last = self
                        .last
                        .get_or_insert_with(|| unavailable(availability, wait));
                    // The call has already waited. Meanwhile, another call has become the probe, or
                    // the route has failed in another way.
                    if rested {
                        return Err(last.clone());
                    }
                    let jitter = FIRST_PAUSE.mul_f64(fastrand::f64());
                    self.rest((wait <= SHORT_WAIT).then(|| wait + jitter))
                        .await?;
                    rested = true;
                }
                NextStep::Nothing => return Err(self.give_up()),
            }
        }
    }

    fn take(
        &mut self,
        index: usize,
        permit: RoutePermit,
    ) -> Result<(usize, Arc<Route>, RoutePermit), Failure> {
        self.made += 1;
        match self.choice.candidate(index) {
            Some(candidate) => Ok((index, Arc::clone(&candidate.route), permit)),
            None => Err(self.give_up()),
        }
    }

    /// Waits, if the wait ends before the deadline and the budget has an attempt left.
    async fn rest(&mut self, pause: Option<Duration>) -> Result<(), Failure> {
        let in_time = pause.filter(|pause| Instant::now() + *pause < self.policy.deadline);
        match in_time {
            Some(pause) if self.policy.budget.withdraw() => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            _ => Err(self.give_up()),
        }
    }

    /// Waits for an attempt, within its time limit. The limit begins anew after a wait for memory.
    /// The deadline of the call is enforced by the caller of this module.
    async fn within_limit<T>(
        &self,
        attempt: impl Future<Output = Result<Opened<T>, Failure>>,
    ) -> Result<Opened<T>, Failure> {
        let limit = self.policy.first_event;
        if Instant::now() + limit >= self.policy.deadline {
            return attempt.await;
        }
        let mut has_waited = false;
        let (mut attempt, mut timer) = (pin!(attempt), pin!(tokio::time::sleep(limit)));
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = attempt.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            // Bedrock is not read meanwhile. The call has a separate limit for this wait.
            if self.policy.memory_wait.is_on() {
                has_waited = true;
                return Poll::Pending;
            }
            if std::mem::take(&mut has_waited) {
                timer.as_mut().reset(Instant::now() + limit);
            }
            ready!(timer.as_mut().poll(cx));
            Poll::Ready(Err(Failure::new(
                Reason::UpstreamIdle,
                format!("Bedrock sent nothing for {} s", limit.as_secs_f32()),
            )
            .in_phase(Phase::BeforeFirstEvent)
            .with_upstream(Upstream::default())))
        })
        .await
    }

    /// Records a failed attempt. Returns an error if no further attempt can help.
    fn failed(&mut self, index: usize, failure: Failure) -> Result<(), Failure> {
        self.identity_failed = IdentityFault::of(&failure).is_some_and(|fault| {
            let now = Instant::now();
            self.choice.identity_failed(index, fault, &failure, now)
        });
        if self.identity_failed {
            // An earlier failure is kept, because it tells the caller more than a problem with an
            // identity.
            self.last.get_or_insert(failure);
            return Ok(());
        }
        match RetryDecision::of(&failure) {
            RetryDecision::Final => return Err(failure),
            RetryDecision::Elsewhere => self.choice.failed(index, true),
            RetryDecision::AnyRoute => self.choice.failed(index, false),
        }
        self.last = Some(failure);
        Ok(())
    }

    fn give_up(&mut self) -> Failure {
        let Some(mut last) = self.last.take() else {
            return Failure::new(
                Reason::Internal,
                "the target has no route that can be called",
            );
        };
        // The client has received nothing of the answer, so the caller can retry the call.
        if last.reason == Reason::UpstreamTruncated {
            last.retry_after.get_or_insert(RETRY_TRUNCATED_AFTER);
        }
        last
    }
}

/// Returns the backoff before a retry on the same route. It has full jitter, and is at least the
/// delay that Bedrock asks for. Returns `None` if Bedrock asks for too long a delay.
fn pause(failure: &Failure, made: u32) -> Option<Duration> {
    let at_most = FIRST_PAUSE
        .saturating_mul(1 << made.saturating_sub(1).min(8))
        .min(LONGEST_PAUSE);
    let jittered = at_most.mul_f64(fastrand::f64());
    match failure.retry_after {
        Some(hint) if hint > LONGEST_PAUSE => None,
        Some(hint) => Some(hint.max(jittered)),
        None => Some(jittered),
    }
}

/// Returns why all routes are skipped.
fn unavailable(availability: Availability, wait: Duration) -> Failure {
    let (reason, message) = match availability {
        Availability::ThrottledUntil(_) => (
            Reason::UpstreamThrottled,
            "all routes of this target are cooling down, because Bedrock throttles them; retry after the given delay",
        ),
        Availability::IdentityFailsUntil(_) => (
            Reason::CredentialsUnavailable,
            "AWS refuses the gateway's identities for all routes of this target; retry after the given delay",
        ),
        Availability::OpenUntil(_) | Availability::Available => (
            Reason::UpstreamUnavailable,
            "all routes of this target have failed recently and are skipped for a while; retry after the given delay",
        ),
    };
    Failure::new(reason, message)
        .in_phase(Phase::BeforeFirstEvent)
        .with_retry_after(wait)
}

#[cfg(test)]
mod tests;
