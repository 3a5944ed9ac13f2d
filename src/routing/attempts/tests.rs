//! Tests the attempts of a call on a paused clock, against scripted routes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use proptest::prelude::*;

use super::*;
use crate::{
    aws::{Fence, FencePart, Side},
    config::{Alias, RouteOptions, Targets},
    routing::{Router, Target},
};

const MS: Duration = Duration::from_millis(1);

fn route(model_id: &str, order: u32) -> RouteOptions {
    RouteOptions {
        order,
        ..RouteOptions::to(model_id)
    }
}

fn target(routes: Vec<RouteOptions>) -> Arc<Target> {
    let alias = Alias {
        routes,
        ..Alias::default()
    };
    let targets = Targets {
        aliases: [("t".to_owned(), alias)].into(),
        ..Targets::default()
    };
    Router::new(targets, Some("us-east-1"))
        .resolve("t")
        .unwrap()
}

fn policy() -> AttemptPolicy {
    AttemptPolicy {
        attempt_allowance: 3,
        first_event: Duration::from_secs(60),
        memory_wait: MemoryWait::default(),
        deadline: Instant::now() + Duration::from_secs(300),
        budget: RetryBudget::default(),
        session_owner: None,
    }
}

fn failed(reason: Reason) -> Result<Opened<()>, Failure> {
    Err(Failure::new(reason, "").with_upstream(Upstream::default()))
}

fn opened() -> Result<Opened<()>, Failure> {
    Ok(Opened {
        request_id: "id".to_owned(),
        answer: (),
    })
}

/// Makes a call. `outcome` defines the outcome of an attempt for each model ID. Also returns the
/// model IDs that were called.
async fn call(
    target: &Target,
    policy: AttemptPolicy,
    outcome: impl Fn(&str) -> Result<Opened<()>, Failure>,
) -> (Result<Begun<()>, Failure>, Vec<String>) {
    let log = AttemptLog::default();
    let candidates = target.inside().unwrap();
    let result = begin(candidates, policy, log.clone(), |route| {
        let outcome = outcome(&route.model_id);
        async move { outcome }
    })
    .await;
    let called = log.attempts();
    let called = called.iter().map(|attempt| attempt.route.model_id.clone());
    (result, called.collect())
}

#[tokio::test(start_paused = true)]
async fn a_failure_fails_over_to_the_next_route_in_order_without_a_pause() {
    for reason in [
        Reason::UpstreamThrottled,
        Reason::UpstreamQuota,
        Reason::UpstreamUnavailable,
        Reason::UpstreamInternal,
        Reason::UpstreamConnect,
        Reason::UpstreamTruncated,
        Reason::UpstreamIdle,
        Reason::UpstreamCorrupt,
        Reason::ModelNotReady,
    ] {
        let target = target(vec![route("a.x", 1), route("b.x", 2), route("c.x", 3)]);
        let began = Instant::now();
        let (result, called) = call(&target, policy(), |model_id| match model_id {
            "c.x" => opened(),
            _ => failed(reason),
        })
        .await;
        assert_eq!(result.unwrap().route.model_id, "c.x", "{reason:?}");
        assert_eq!(called, ["a.x", "b.x", "c.x"], "{reason:?}");
        assert_eq!(began.elapsed(), Duration::ZERO, "{reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_or_the_operator_has_to_fix_is_tried_once() {
    for reason in [
        Reason::UpstreamValidation,
        Reason::ContextTooLong,
        Reason::InferenceProfileRequired,
        Reason::UpstreamAccessDenied,
        Reason::UpstreamCredentials,
        Reason::CredentialsUnavailable,
        Reason::UpstreamResource,
        Reason::ModelTimeout,
    ] {
        let target = target(vec![route("a.x", 1), route("b.x", 2)]);
        let (result, called) = call(&target, policy(), |_| failed(reason)).await;
        assert_eq!(result.unwrap_err().reason, reason);
        assert_eq!(called, ["a.x"], "{reason:?}");
    }
}

/// Makes a call with one attempt, which does this until its first event arrives.
async fn call_one<F: Future<Output = ()>>(
    first_event: impl Fn(MemoryWait) -> F,
) -> Result<Begun<()>, Failure> {
    let target = target(vec![route("a.x", 1)]);
    let candidates = target.inside().unwrap();
    let policy = AttemptPolicy {
        attempt_allowance: 1,
        ..policy()
    };
    let memory_wait = policy.memory_wait.clone();
    begin(candidates, policy, AttemptLog::default(), |_| {
        let arrived = first_event(memory_wait.clone());
        async move {
            arrived.await;
            opened()
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_first_event_may_wait_for_memory_longer_than_for_bedrock() {
    let almost = policy().first_event - MS;
    let waits = call_one(async |memory_wait| {
        tokio::time::sleep(almost).await;
        memory_wait.set(true);
        tokio::time::sleep(3 * almost).await;
        memory_wait.set(false);
        tokio::time::sleep(almost).await;
    });
    waits.await.unwrap();
    let silent = call_one(async |memory_wait| {
        memory_wait.set(true);
        tokio::time::sleep(almost).await;
        memory_wait.set(false);
        tokio::time::sleep(almost + 2 * MS).await;
    });
    assert_eq!(silent.await.unwrap_err().reason, Reason::UpstreamIdle);
}

#[tokio::test(start_paused = true)]
async fn a_single_route_is_tried_again_after_pauses_that_grow() {
    let target = target(vec![route("a.x", 1)]);
    let (result, called) = call(&target, policy(), |_| failed(Reason::UpstreamUnavailable)).await;
    assert_eq!(result.unwrap_err().reason, Reason::UpstreamUnavailable);
    assert_eq!(called.len(), 3);
    for made in 1..40 {
        let at_most = (FIRST_PAUSE * (1 << (made - 1).min(8))).min(LONGEST_PAUSE);
        let failure = Failure::new(Reason::UpstreamUnavailable, "");
        assert!(pause(&failure, made).unwrap() <= at_most, "{made}");
    }
}

#[tokio::test(start_paused = true)]
async fn hints_of_bedrocks_are_followed_or_left_to_the_caller() {
    for (hint, attempts) in [(1, 3), (30, 1)] {
        let hint = Duration::from_secs(hint);
        let target = target(vec![route("a.x", 1)]);
        let began = Instant::now();
        let (result, called) = call(&target, policy(), |_| {
            failed(Reason::UpstreamThrottled).map_err(|failure| failure.with_retry_after(hint))
        })
        .await;
        assert_eq!(result.unwrap_err().retry_after, Some(hint));
        assert_eq!(called.len(), attempts);
        assert!(began.elapsed() >= hint * (u32::try_from(attempts).unwrap() - 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_first_event_fails_over_too() {
    let target = target(vec![route("a.x", 1), route("b.x", 2)]);
    let candidates = target.inside().unwrap();
    let log = AttemptLog::default();
    let result = begin(candidates, policy(), log.clone(), |route| async move {
        if route.model_id == "a.x" {
            std::future::pending::<()>().await;
        }
        opened()
    })
    .await;
    assert_eq!(result.unwrap().route.model_id, "b.x");
    let attempts = log.attempts();
    assert_eq!(attempts[0].failure, Some(Reason::UpstreamIdle));
    assert_eq!(attempts[0].duration, Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn equals_share_the_calls_by_their_weights_and_the_loaded_one_gets_fewer() {
    let heavy = RouteOptions {
        weight: 3,
        ..route("heavy.x", 1)
    };
    let target = target(vec![heavy, route("light.x", 1)]);
    let mut counts = HashMap::<String, u32>::new();
    for _ in 0..4_000 {
        let (result, _) = call(&target, policy(), |_| opened()).await;
        let begun = result.unwrap();
        *counts.entry(begun.route.model_id.clone()).or_default() += 1;
        begun.permit.succeeded();
    }
    assert!((2_850..=3_150).contains(&counts["heavy.x"]), "{counts:?}");

    let held: Vec<_> = (0..4)
        .filter_map(|_| {
            target.candidates[0]
                .route
                .health
                .permit(Instant::now(), false)
        })
        .collect();
    for _ in 0..100 {
        let (result, _) = call(&target, policy(), |_| opened()).await;
        assert_eq!(result.unwrap().route.model_id, "light.x");
    }
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_route_is_skipped_and_called_later() {
    let target = target(vec![route("a.x", 1), route("b.x", 2)]);
    let throttled = Mutex::new(true);
    let outcome = |model_id: &str| match model_id {
        "a.x" if *throttled.lock().unwrap() => failed(Reason::UpstreamThrottled),
        _ => opened(),
    };
    let (_, called) = call(&target, policy(), outcome).await;
    assert_eq!(called, ["a.x", "b.x"]);
    let (_, called) = call(&target, policy(), outcome).await;
    assert_eq!(called, ["b.x"]);
    *throttled.lock().unwrap() = false;
    tokio::time::advance(Duration::from_secs(1)).await;
    let (_, called) = call(&target, policy(), outcome).await;
    assert_eq!(called, ["a.x"]);
}

#[tokio::test(start_paused = true)]
async fn when_all_routes_are_skipped_the_caller_gets_a_retry_delay() {
    let target = target(vec![route("a.x", 1), route("b.x", 2)]);
    let hint = Duration::from_secs(20);
    let outcome = |_: &str| {
        failed(Reason::UpstreamThrottled).map_err(|failure| failure.with_retry_after(hint))
    };
    let (_, called) = call(&target, policy(), outcome).await;
    assert_eq!(called.len(), 2);
    tokio::time::advance(Duration::from_secs(5)).await;
    let (result, called) = call(&target, policy(), outcome).await;
    let failure = result.unwrap_err();
    assert_eq!(called, [""; 0]);
    assert_eq!(failure.reason, Reason::UpstreamThrottled);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(15)));
}

#[tokio::test(start_paused = true)]
async fn with_the_budget_spent_there_are_eleven_attempts_for_ten_calls() {
    let target = target(vec![route("a.x", 1)]);
    let budget = RetryBudget::default();
    while budget.withdraw() {}
    let mut attempts = 0;
    for _ in 0..500 {
        let policy = AttemptPolicy {
            budget: budget.clone(),
            ..policy()
        };
        attempts += call(&target, policy, |_| failed(Reason::UpstreamInternal))
            .await
            .1
            .len();
    }
    assert!(attempts <= 550, "{attempts}");
}

/// The behaviour of a route in the property test below.
#[derive(Clone, Copy, Debug)]
struct Behaviour {
    /// The index of a reason in [`REASONS`]. `None` if the route answers.
    reason: Option<usize>,
    takes: Duration,
    retry_after: Option<Duration>,
}

const REASONS: [Reason; 8] = [
    Reason::UpstreamThrottled,
    Reason::UpstreamUnavailable,
    Reason::UpstreamConnect,
    Reason::UpstreamInternal,
    Reason::UpstreamQuota,
    Reason::UpstreamValidation,
    Reason::UpstreamAccessDenied,
    Reason::ModelNotReady,
];

fn behaviours() -> impl Strategy<Value = Vec<Behaviour>> {
    let one = (
        proptest::option::weighted(0.7, 0..REASONS.len()),
        0_u64..3_000,
        proptest::option::weighted(0.3, 0_u64..5_000),
    );
    let one = one.prop_map(|(reason, takes, retry_after)| Behaviour {
        reason,
        takes: MS * u32::try_from(takes).unwrap(),
        retry_after: retry_after.map(Duration::from_millis),
    });
    proptest::collection::vec(one, 1..40)
}

fn routes() -> impl Strategy<Value = Vec<RouteOptions>> {
    let model = proptest::sample::select(vec![
        "eu.amazon.nova-lite-v1:0",
        "us.amazon.nova-lite-v1:0",
        "global.amazon.nova-lite-v1:0",
        "amazon.nova-lite-v1:0",
        "arn:aws:bedrock:eu-west-1:1:application-inference-profile/opaque",
    ]);
    let regions = proptest::collection::btree_set(
        proptest::sample::select(vec!["eu-west-1", "eu-central-1", "us-east-1"]),
        1..3,
    );
    let one = (model, regions, 1_u32..4, 1_u32..4);
    let one = one.prop_map(|(model, regions, order, weight)| RouteOptions {
        accounts: Vec::new(),
        model_id: model.to_owned(),
        regions: regions.into_iter().map(str::to_owned).collect(),
        order,
        weight,
    });
    proptest::collection::vec(one, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Checks for any policy, outcomes and times that the number of attempts stays within the
    /// policy. There must be no attempt after an answer began, after the deadline, or after an
    /// error that a retry cannot fix. No attempt may use a route outside the fence or of another
    /// target.
    #[test]
    fn no_attempt_breaks_a_rule(
        (own, other) in (routes(), routes()),
        fenced in any::<bool>(),
        behaviours in behaviours(),
        deadline in 0_u64..8_000,
        max_attempts in 1_u32..5,
        calls in 1_usize..6,
        budget_is_spent in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let fence = match crate::aws::Geography::named("eu") {
                Some(eu) if fenced => Fence::of(vec![FencePart::Geography(eu)]),
                _ => Fence::default(),
            };
            let alias = |routes: &[RouteOptions], only: &Fence| Alias {
                routes: routes.to_vec(),
                only: only.clone(),
                ..Alias::default()
            };
            let targets = Targets {
                aliases: [
                    ("own".to_owned(), alias(&own, &fence)),
                    ("other".to_owned(), alias(&other, &Fence::default())),
                ]
                .into(),
                ..Targets::default()
            };
            let target = Router::new(targets, None).resolve("own").unwrap();
            let Ok(candidates) = target.inside() else {
                assert!(fenced);
                return;
            };
            let budget = RetryBudget::default();
            if budget_is_spent {
                while budget.withdraw() {}
            }
            let script = Mutex::new(behaviours.iter().cycle());
            for _ in 0..calls {
                let policy = AttemptPolicy {
                    session_owner: None,
                    attempt_allowance: max_attempts,
                    memory_wait: MemoryWait::default(),
                    first_event: Duration::from_secs(2),
                    deadline: Instant::now() + MS * u32::try_from(deadline).unwrap(),
                    budget: budget.clone(),
                };
                let most = max_attempts.max(u32::try_from(candidates.len()).unwrap());
                let answered = Mutex::new(false);
                let last = Mutex::new(None::<Reason>);
                let log = AttemptLog::default();
                let until = policy.deadline;
                let _outcome = begin(candidates.clone(), policy, log.clone(), |route| {
                    assert!(!*answered.lock().unwrap(), "an attempt after an answer");
                    if let Some(last) = *last.lock().unwrap() {
                        assert!(Instant::now() < until, "an attempt after the deadline");
                        let failure = Failure::new(last, "");
                        assert_ne!(RetryDecision::of(&failure), RetryDecision::Final, "an attempt after {last:?}");
                    }
                    assert_eq!(route.side_of(&fence), Side::Inside, "{route:?}");
                    assert!(
                        own.iter().any(|own| own.model_id == route.model_id),
                        "{route:?} is not a route of the target"
                    );
                    let behaviour = *script.lock().unwrap().next().unwrap();
                    let (answered, last) = (&answered, &last);
                    async move {
                        tokio::time::sleep(behaviour.takes).await;
                        let Some(reason) = behaviour.reason.map(|index| REASONS[index]) else {
                            *answered.lock().unwrap() = true;
                            return opened();
                        };
                        *last.lock().unwrap() = Some(reason);
                        let mut failure = Failure::new(reason, "").with_upstream(Upstream::default());
                        failure.retry_after = behaviour.retry_after;
                        Err(failure)
                    }
                })
                .await;
                let attempts = log.attempts();
                assert!(attempts.len() <= usize::try_from(most).unwrap(), "{attempts:?}");
                if budget_is_spent {
                    assert!(attempts.len() <= 1, "{attempts:?}");
                }
            }
        });
    }
}
