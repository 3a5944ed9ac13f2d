//! One call may take several attempts, as long as nothing of an answer was seen.
//!
//! An attempt succeeds with Bedrock's first event: an error that comes as the first frame of a 200 counts like one that comes instead of it. After the
//! first event nothing is ever tried again.
//!
//! Each route that can be called is tried once, without a pause: another route has its own quota, its own capacity. Only then is one tried again,
//! after a pause with full jitter. Every attempt after a call's first one is paid for out of the [`RetryBudget`] that all calls share.

mod log;
mod verdict;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

pub use self::log::{Attempt, AttemptLog};
use self::verdict::Verdict;
use super::{
    budget::RetryBudget,
    choice::{Choice, Next},
    health::{Availability, Lease},
    route::Route,
    target::Candidate,
};
use crate::error::{Failure, Phase, Reason, Upstream};

/// The first pause is at most this long; each further one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No pause is longer. A hint of Bedrock's to wait longer is the caller's to follow.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// When no route should be called, a call waits for so long at most: whoever is refused at once can go elsewhere, and a queue at a quota that is used up
/// would only make every answer late.
const SHORT_WAIT: Duration = Duration::from_millis(100);

/// How a call may be tried.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The most attempts of the call; as many as it has routes in any case.
    pub max_attempts: u32,
    /// How long an attempt may wait for Bedrock's first event.
    pub first_event: Duration,
    /// No attempt begins after this.
    pub deadline: Instant,
    /// What all calls of the process may spend on further attempts.
    pub budget: RetryBudget,
}

/// What an attempt comes to that succeeds.
#[derive(Debug)]
pub struct Opened<T> {
    /// Bedrock's request ID.
    pub request_id: String,
    /// The answer.
    pub answer: T,
}

/// An answer that has begun.
#[derive(Debug)]
pub struct Begun<T> {
    /// Where it comes from.
    pub route: Arc<Route>,
    /// Tells the route what becomes of the call.
    pub lease: Lease,
    /// Bedrock's request ID.
    pub request_id: String,
    /// The answer.
    pub answer: T,
}

/// Makes attempts until an answer begins, as the policy allows.
///
/// # Errors
/// The last attempt's failure. If there was none, why no route can be called.
pub async fn begin<T, F>(
    candidates: Vec<Candidate>,
    policy: Policy,
    log: AttemptLog,
    mut attempt: impl FnMut(Arc<Route>) -> F,
) -> Result<Begun<T>, Failure>
where
    F: Future<Output = Result<Opened<T>, Failure>>,
{
    policy.budget.deposit();
    let mut course = Course::new(candidates, policy);
    loop {
        let (index, route, lease) = course.next().await?;
        log.begin(&route);
        let outcome = course.within_limit(attempt(Arc::clone(&route))).await;
        let now = Instant::now();
        match outcome {
            Ok(Opened { request_id, answer }) => {
                log.answered(&request_id);
                let mut lease = lease;
                lease.answers(now);
                return Ok(Begun {
                    route,
                    lease,
                    request_id,
                    answer,
                });
            }
            Err(failure) => {
                log.failed(&failure);
                lease.failed(&failure, now);
                course.failed(index, failure)?;
            }
        }
    }
}

/// Where a call stands.
struct Course {
    choice: Choice,
    policy: Policy,
    made: u32,
    /// How the last attempt failed.
    last: Option<Failure>,
}

impl Course {
    fn new(candidates: Vec<Candidate>, policy: Policy) -> Self {
        Self {
            choice: Choice::new(candidates),
            policy,
            made: 0,
            last: None,
        }
    }

    /// The next route, when it is time for it.
    async fn next(&mut self) -> Result<(usize, Arc<Route>, Lease), Failure> {
        let most = self
            .policy
            .max_attempts
            .max(u32::try_from(self.choice.len()).unwrap_or(u32::MAX));
        // A pause was paid for and made, so what comes next is free.
        let mut rested = false;
        loop {
            let now = Instant::now();
            if self.made >= most || (self.made > 0 && now >= self.policy.deadline) {
                return Err(self.give_up());
            }
            match self.choice.next(now, &mut fastrand::f64) {
                Next::Take(index, lease) => {
                    if self.made > 0 && !rested && !self.policy.budget.withdraw() {
                        return Err(self.give_up());
                    }
                    return self.take(index, lease);
                }
                Next::Again(index) => {
                    if !rested {
                        let pause = self.last.as_ref().and_then(|last| pause(last, self.made));
                        self.rest(pause).await?;
                        rested = true;
                    }
                    let alone = self.choice.len() == 1;
                    let lease = self
                        .choice
                        .candidate(index)
                        .and_then(|known| known.route.health.lease(Instant::now(), alone));
                    if let Some(lease) = lease {
                        return self.take(index, lease);
                    }
                }
                Next::Wait(until, availability) => {
                    let wait = until.saturating_duration_since(now);
                    let last = self
                        .last
                        .get_or_insert_with(|| unavailable(availability, wait));
                    // Whoever waited already has lost the race for the one probe, or met another trouble.
                    if rested {
                        return Err(last.clone());
                    }
                    let jitter = FIRST_PAUSE.mul_f64(fastrand::f64());
                    self.rest((wait <= SHORT_WAIT).then(|| wait + jitter))
                        .await?;
                    rested = true;
                }
                Next::Nothing => return Err(self.give_up()),
            }
        }
    }

    fn take(&mut self, index: usize, lease: Lease) -> Result<(usize, Arc<Route>, Lease), Failure> {
        self.made += 1;
        match self.choice.candidate(index) {
            Some(candidate) => Ok((index, Arc::clone(&candidate.route), lease)),
            None => Err(self.give_up()),
        }
    }

    /// Pauses, if a pause is of use, is over in time and can be paid for.
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

    /// An attempt, for as long as one may wait. The call's own deadline is kept by whoever waits for the call.
    async fn within_limit<T>(
        &self,
        attempt: impl Future<Output = Result<Opened<T>, Failure>>,
    ) -> Result<Opened<T>, Failure> {
        let limit = self.policy.first_event;
        if Instant::now() + limit >= self.policy.deadline {
            return attempt.await;
        }
        match tokio::time::timeout(limit, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::new(
                Reason::UpstreamIdle,
                format!("Bedrock sent nothing for {} s", limit.as_secs_f32()),
            )
            .in_phase(Phase::BeforeFirstEvent)
            .with_upstream(Upstream::default())),
        }
    }

    /// An attempt failed: whether others can help.
    fn failed(&mut self, index: usize, failure: Failure) -> Result<(), Failure> {
        match Verdict::of(&failure) {
            Verdict::Final => return Err(failure),
            Verdict::Elsewhere => self.choice.failed(index, true),
            Verdict::AnyRoute => self.choice.failed(index, false),
        }
        self.last = Some(failure);
        Ok(())
    }

    fn give_up(&mut self) -> Failure {
        self.last.take().unwrap_or_else(|| {
            Failure::new(
                Reason::Internal,
                "the target has no route that can be called",
            )
        })
    }
}

/// How long to wait before the same route is tried again: full jitter, and no less than Bedrock asks for. `None` if Bedrock asks for too much.
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

/// Why no route is called for the moment.
fn unavailable(availability: Availability, wait: Duration) -> Failure {
    let (reason, message) = match availability {
        Availability::ThrottledUntil(_) => (
            Reason::UpstreamThrottled,
            "Bedrock throttles every route of this target; none is asked again before its quota has had time to refill",
        ),
        Availability::OpenUntil(_) | Availability::Available => (
            Reason::UpstreamUnavailable,
            "every route of this target fails; none is asked again before it has had time to recover",
        ),
    };
    Failure::new(reason, message)
        .in_phase(Phase::BeforeFirstEvent)
        .with_retry_after(wait)
}

#[cfg(test)]
mod tests;
