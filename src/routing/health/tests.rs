//! Tests the breaker, the cooldown and the load on a paused clock.

use std::time::Duration;

use super::*;
use crate::error::Upstream;

const MS: Duration = Duration::from_millis(1);
const S: Duration = Duration::from_secs(1);

fn failure(reason: Reason) -> Failure {
    Failure::new(reason, "").with_upstream(Upstream {
        http_status: Some(500),
        ..Upstream::default()
    })
}

fn fail(health: &RouteHealth, reason: Reason) {
    let now = Instant::now();
    health
        .permit(now, true)
        .unwrap()
        .failed(&failure(reason), now);
}

fn answer(health: &RouteHealth) {
    let now = Instant::now();
    let mut permit = health.permit(now, false).unwrap();
    permit.answers(now);
    permit.succeeded();
}

fn availability(health: &RouteHealth) -> Availability {
    health.availability(Instant::now())
}

fn breaker(health: &RouteHealth) -> BreakerState {
    health.snapshot(Instant::now()).breaker
}

fn is_available(health: &RouteHealth) -> bool {
    availability(health) == Availability::Available
}

#[tokio::test(start_paused = true)]
async fn five_failures_in_a_row_open_it_and_one_answer_closes_it() {
    let health = RouteHealth::default();
    for _ in 0..4 {
        fail(&health, Reason::UpstreamUnavailable);
        assert!(is_available(&health));
    }
    fail(&health, Reason::UpstreamInternal);
    assert!(matches!(availability(&health), Availability::OpenUntil(_)));
    assert_eq!(breaker(&health), BreakerState::Open);
    assert!(health.permit(Instant::now(), false).is_none());

    tokio::time::advance(S).await;
    assert_eq!(breaker(&health), BreakerState::HalfOpen);
    let now = Instant::now();
    let mut probe = health.permit(now, false).unwrap();
    assert!(health.permit(now, false).is_none(), "one probe at a time");
    assert_eq!(breaker(&health), BreakerState::HalfOpen);
    probe.answers(now);
    assert!(is_available(&health));
    assert_eq!(breaker(&health), BreakerState::Closed);
    // After a probe, the next failure opens the breaker.
    fail(&health, Reason::UpstreamConnect);
    assert!(!is_available(&health));
    drop(probe);
    tokio::time::advance(2 * S).await;
    answer(&health);
    for _ in 0..4 {
        fail(&health, Reason::UpstreamConnect);
        assert!(is_available(&health));
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_that_stays_broken_is_probed_more_and_more_seldom() {
    let health = RouteHealth::default();
    for _ in 0..5 {
        fail(&health, Reason::UpstreamUnavailable);
    }
    let began = Instant::now();
    let mut probes = 0;
    while began.elapsed() < 300 * S {
        tokio::time::advance(100 * MS).await;
        if is_available(&health) {
            probes += 1;
            fail(&health, Reason::UpstreamUnavailable);
        }
    }
    assert!((12..=25).contains(&probes), "{probes}");
}

#[tokio::test(start_paused = true)]
async fn half_of_many_calls_open_it_too() {
    let health = RouteHealth::default();
    for _ in 0..20 {
        if !is_available(&health) {
            return;
        }
        answer(&health);
        fail(&health, Reason::ModelStreamError);
    }
    panic!("it never opened");
}

#[tokio::test(start_paused = true)]
async fn a_failure_now_and_then_opens_nothing() {
    let health = RouteHealth::default();
    for call in 0..1_000 {
        tokio::time::advance(50 * MS).await;
        if call % 5 == 0 {
            fail(&health, Reason::UpstreamTruncated);
        } else {
            answer(&health);
        }
        assert!(is_available(&health), "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_caller_has_to_fix_shows_nothing_about_a_route() {
    let health = RouteHealth::default();
    for _ in 0..100 {
        for reason in [
            Reason::UpstreamValidation,
            Reason::UpstreamAccessDenied,
            Reason::UpstreamResource,
            Reason::ContextTooLong,
            Reason::Cancelled,
            Reason::DeadlineExceeded,
        ] {
            fail(&health, reason);
        }
    }
    assert!(is_available(&health));
}

#[tokio::test(start_paused = true)]
async fn after_a_probe_without_outcome_another_one_is_allowed() {
    let health = RouteHealth::default();
    for _ in 0..5 {
        fail(&health, Reason::UpstreamConnect);
    }
    tokio::time::advance(S).await;
    let probe = health.permit(Instant::now(), false).unwrap();
    assert!(!is_available(&health));
    drop(probe);
    assert!(is_available(&health));
}

#[tokio::test(start_paused = true)]
async fn throttling_waits_for_as_long_as_bedrock_asks() {
    let health = RouteHealth::default();
    let now = Instant::now();
    let asked = failure(Reason::UpstreamThrottled).with_retry_after(7 * S);
    health.permit(now, false).unwrap().failed(&asked, now);
    assert_eq!(
        availability(&health),
        Availability::ThrottledUntil(now + 7 * S)
    );
    tokio::time::advance(7 * S).await;
    assert!(is_available(&health));
}

#[tokio::test(start_paused = true)]
async fn a_route_without_capacity_is_skipped_for_as_long_as_bedrock_asks() {
    let health = RouteHealth::default();
    let now = Instant::now();
    let asked = failure(Reason::UpstreamUnavailable).with_retry_after(7 * S);
    health.permit(now, false).unwrap().failed(&asked, now);
    assert_eq!(availability(&health), Availability::OpenUntil(now + 7 * S));
    tokio::time::advance(7 * S).await;
    answer(&health);
    assert!(is_available(&health));
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_make_no_cooldown_longer() {
    let health = RouteHealth::default();
    fail(&health, Reason::UpstreamThrottled);
    let first = availability(&health);
    for _ in 0..50 {
        fail(&health, Reason::UpstreamThrottled);
    }
    assert_eq!(availability(&health), first);
}

/// A quota of Bedrock: a token bucket that refills continuously, or a sliding window of a minute.
enum Quota {
    Bucket { tokens: f64, filled: Instant },
    Window(std::collections::VecDeque<Instant>),
}

impl Quota {
    fn takes(&mut self, per_second: f64, now: Instant) -> bool {
        match self {
            Self::Bucket { tokens, filled } => {
                let new = now.saturating_duration_since(*filled).as_secs_f64() * per_second;
                *tokens = (*tokens + new).min(60.0 * per_second);
                *filled = now;
                let takes = *tokens >= 1.0;
                *tokens -= f64::from(u8::from(takes));
                takes
            }
            Self::Window(taken) => {
                taken.retain(|then| now - *then < 60 * S);
                let takes = (taken.len() as f64) < 60.0 * per_second;
                if takes {
                    taken.push_back(now);
                }
                takes
            }
        }
    }
}

/// Checks the cooldown with quotas of several sizes and kinds, and with more calls than they allow.
/// It must reach a length at which few calls are throttled and almost all of the quota is used.
#[tokio::test(start_paused = true)]
async fn cooldowns_find_the_length_that_a_quota_needs() {
    for slides in [false, true] {
        for (per_second, offered_per_second) in [(3.0, 5.0), (10.0, 15.0), (30.0, 90.0)] {
            let health = RouteHealth::default();
            let mut quota = if slides {
                Quota::Window(std::collections::VecDeque::new())
            } else {
                let filled = Instant::now();
                Quota::Bucket {
                    tokens: 0.0,
                    filled,
                }
            };
            let step = Duration::from_secs_f64(1.0 / offered_per_second);
            let (mut answered, mut refused) = (0.0, 0.0);
            let (warm_up, measured) = (120.0, 600.0);
            let began = Instant::now();
            while began.elapsed().as_secs_f64() < warm_up + measured {
                tokio::time::advance(step).await;
                if !is_available(&health) {
                    continue;
                }
                let counts = f64::from(u8::from(began.elapsed().as_secs_f64() > warm_up));
                if quota.takes(per_second, Instant::now()) {
                    answered += counts;
                    answer(&health);
                } else {
                    refused += counts;
                    fail(&health, Reason::UpstreamThrottled);
                }
            }
            let goodput = answered / (per_second * measured);
            assert!(goodput > 0.95, "{slides} {per_second}: {goodput}");
            assert!(
                refused < answered * 0.1,
                "{slides} {per_second}: {refused} of {answered}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_with_a_used_up_daily_quota_is_skipped_for_minutes() {
    let health = RouteHealth::default();
    fail(&health, Reason::UpstreamQuota);
    tokio::time::advance(149 * S).await;
    assert!(!is_available(&health));
    tokio::time::advance(152 * S).await;
    assert!(is_available(&health));
}

#[tokio::test(start_paused = true)]
async fn open_calls_and_slow_first_events_make_a_load() {
    let (idle, busy, slow) = (
        RouteHealth::default(),
        RouteHealth::default(),
        RouteHealth::default(),
    );
    let now = Instant::now();
    let _open = busy.permit(now, false).unwrap();
    let mut permit = slow.permit(now, false).unwrap();
    tokio::time::advance(S).await;
    let now = Instant::now();
    permit.answers(now);
    drop(permit);
    assert!(busy.load(now) > idle.load(now));
    assert!(slow.load(now) > busy.load(now));
    // The mean decays, so that a route that has recovered gets calls.
    let later = now + 60 * S;
    assert!(slow.load(later) < busy.load(later));
}
