//! One call may take several attempts, as long as nothing of an answer was seen.
//!
//! An attempt succeeds with Bedrock's first event: an error that comes as the first frame of a 200 counts like one that comes instead of it. After the
//! first event nothing is ever tried again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{Route, budget::RetryBudget};
use crate::{
    bedrock::{Bedrock, Frame, Frames},
    error::{Failure, Phase, Reason, Upstream},
};

/// The first pause is at most this long; each further one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No pause is longer. A hint of Bedrock's to wait longer is the caller's to follow.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Why it failed. `None` for the one that answers, and for one that is still going on.
    pub failure: Option<Reason>,
    /// Bedrock's request ID. Empty if Bedrock has not answered.
    pub request_id: String,
    /// From its start to its failure or its first event.
    pub duration: Duration,
}

/// The attempts of a call, for whoever wants to know of them while the call goes on.
#[derive(Clone, Debug, Default)]
pub struct AttemptLog(Arc<Mutex<Vec<Attempt>>>);

impl AttemptLog {
    /// What became of the attempts so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn push(&self, attempt: Attempt) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(attempt);
    }
}

/// What the attempts of a call share.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The most attempts of a call.
    pub max_attempts: u32,
    /// What all calls of the process may spend on further attempts.
    pub budget: RetryBudget,
}

/// An answer that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Bedrock's request ID.
    pub request_id: String,
    /// The first event.
    pub first: Frame,
    /// What follows.
    pub rest: Frames,
}

/// Calls Bedrock until an answer begins, as often as the policy allows and not beyond the deadline.
///
/// # Errors
/// The last attempt's failure.
pub async fn begin(
    bedrock: Bedrock,
    route: Route,
    body: Bytes,
    policy: Policy,
    deadline: Instant,
    log: AttemptLog,
) -> Result<Begun, Failure> {
    policy.budget.deposit();
    let mut made = 0;
    loop {
        let started = Instant::now();
        let attempted = attempt(&bedrock, &route, body.clone()).await;
        made += 1;
        let failure = match attempted {
            Ok(begun) => {
                log.push(Attempt {
                    failure: None,
                    request_id: begun.request_id.clone(),
                    duration: started.elapsed(),
                });
                return Ok(begun);
            }
            Err(failure) => failure,
        };
        log.push(Attempt {
            failure: Some(failure.reason),
            request_id: failure
                .upstream
                .as_ref()
                .map_or_else(String::new, |upstream| upstream.request_id.clone()),
            duration: started.elapsed(),
        });
        let Some(pause) = pause(&failure, made) else {
            return Err(failure);
        };
        let in_time = Instant::now() + pause < deadline;
        if made >= policy.max_attempts || !in_time || !policy.budget.withdraw() {
            return Err(failure);
        }
        tokio::time::sleep(pause).await;
    }
}

async fn attempt(bedrock: &Bedrock, route: &Route, body: Bytes) -> Result<Begun, Failure> {
    let answer = bedrock
        .converse_stream(&route.source_region, &route.model_id, body)
        .await?;
    let mut rest = answer.frames;
    match rest.next().await {
        Some(Ok(first)) => Ok(Begun {
            request_id: answer.request_id,
            first,
            rest,
        }),
        Some(Err(failure)) => Err(named(failure, &answer.request_id)),
        None => Err(named(
            Failure::new(
                Reason::UpstreamTruncated,
                "Bedrock's stream ended before it began",
            )
            .in_phase(Phase::BeforeFirstEvent)
            .with_upstream(Upstream::default()),
            &answer.request_id,
        )),
    }
}

/// In-stream errors carry no request ID: the response's head did.
fn named(mut failure: Failure, request_id: &str) -> Failure {
    if let Some(upstream) = &mut failure.upstream
        && upstream.request_id.is_empty()
    {
        request_id.clone_into(&mut upstream.request_id);
    }
    failure
}

/// How long to wait before another attempt: full jitter, and no less than Bedrock asks for. `None` if another attempt is of no use.
fn pause(failure: &Failure, made: u32) -> Option<Duration> {
    let may_help = matches!(
        failure.reason,
        Reason::UpstreamThrottled
            | Reason::UpstreamUnavailable
            | Reason::UpstreamInternal
            | Reason::UpstreamConnect
            | Reason::UpstreamTruncated
            | Reason::ModelNotReady
    );
    if !may_help {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_or_the_operator_has_to_mend_is_not_tried_again() {
        for reason in [
            Reason::UpstreamValidation,
            Reason::ContextTooLong,
            Reason::InferenceProfileRequired,
            Reason::UpstreamAccessDenied,
            Reason::UpstreamCredentials,
            Reason::UpstreamResource,
            Reason::UpstreamQuota,
            Reason::UpstreamCorrupt,
            Reason::ModelTimeout,
        ] {
            assert_eq!(pause(&Failure::new(reason, ""), 1), None, "{reason:?}");
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_follow_hints() {
        let throttled = Failure::new(Reason::UpstreamThrottled, "");
        for made in 1..40 {
            let at_most = (FIRST_PAUSE * (1 << (made - 1).min(8))).min(LONGEST_PAUSE);
            let pause = pause(&throttled, made).unwrap();
            assert!(pause <= at_most, "{made}: {pause:?}");
        }
        let hint = |seconds| {
            let failure = throttled
                .clone()
                .with_retry_after(Duration::from_secs(seconds));
            pause(&failure, 1)
        };
        assert_eq!(hint(1), Some(Duration::from_secs(1)));
        assert_eq!(hint(30), None);
    }
}
