//! Failover: when another route is called, and which routes are skipped.

use bedrock_emulator::Call;
use bedrock_grpc::{config::Alias, pb::RouteHealth};
use tonic::Code;

use super::{PROFILE, THROTTLED, called, gateway, routes, start, with_target};
use crate::harness::{MODEL, ask, over, route};

#[tokio::test]
async fn calls_fail_over_from_a_failed_route_and_every_attempt_is_reported() {
    for fault in [
        "throttling",
        "quota",
        "service-unavailable",
        "internal",
        "model-not-ready",
        "stream-throttling-after-0",
        "stream-service-unavailable-after-0",
        "end-without-message-stop-after-0",
    ] {
        let broken = format!("{MODEL}.fault-{fault}");
        let gateway = with_target(over(vec![
            route(&broken, "us-east-1", 1),
            route(&broken, "us-west-2", 2),
            route(PROFILE, "us-east-2", 3),
        ]))
        .await;
        let answer = gateway.stream(ask("t")).await;
        answer.is_whole();
        let start = start(&answer);
        let target = start.target.unwrap();
        assert_eq!(
            (target.name.as_str(), target.model_id.as_str()),
            ("t", PROFILE)
        );
        assert_eq!(target.source_region, "us-east-2", "{fault}");
        let told: Vec<_> = start
            .attempts
            .iter()
            .map(|attempt| {
                assert!(!attempt.bedrock_request_id.is_empty(), "{fault}");
                (
                    attempt.source_region.as_str(),
                    attempt.failure_reason.is_empty(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("us-east-1", false),
                ("us-west-2", false),
                ("us-east-2", true)
            ],
            "{fault}"
        );
        let calls = gateway
            .emulator
            .wait_for(|calls| called(calls).len() >= 3)
            .await;
        assert_eq!(
            called(&calls),
            [
                (broken.as_str(), "us-east-1"),
                (broken.as_str(), "us-west-2"),
                (PROFILE, "us-east-2")
            ],
            "{fault}"
        );
    }
}

#[tokio::test]
async fn a_fallback_comes_last_and_all_attempts_are_in_the_error() {
    let gateway = gateway(|config| {
        let aliases = &mut config.targets.aliases;
        aliases.insert(
            "t".to_owned(),
            Alias {
                fallback: Some("spare".to_owned()),
                ..over(vec![route(THROTTLED, "us-east-1", 1)])
            },
        );
        aliases.insert(
            "spare".to_owned(),
            over(vec![route(THROTTLED, "us-west-2", 1)]),
        );
        config.limits.max_attempts = 1;
    })
    .await;
    let answer = gateway.stream(ask("t")).await;
    assert_eq!(answer.code(), Code::ResourceExhausted);
    let upstream = answer.details().upstream().unwrap();
    let regions: Vec<_> = upstream
        .attempts
        .iter()
        .map(|attempt| {
            (
                attempt.source_region.as_str(),
                attempt.failure_reason.as_str(),
            )
        })
        .collect();
    assert_eq!(
        regions,
        [
            ("us-east-1", "UPSTREAM_THROTTLED"),
            ("us-west-2", "UPSTREAM_THROTTLED")
        ]
    );
}

#[tokio::test]
async fn after_the_first_event_there_is_no_failover() {
    let broken = format!("{MODEL}.fault-stream-throttling-after-2");
    let gateway = with_target(over(vec![
        route(&broken, "us-east-1", 1),
        route(MODEL, "us-west-2", 2),
    ]))
    .await;
    let answer = gateway.stream(ask("t")).await;
    assert_eq!(answer.code(), Code::ResourceExhausted);
    assert_eq!(
        called(&gateway.ended(1).await),
        [(broken.as_str(), "us-east-1")]
    );
}

#[tokio::test]
async fn errors_that_the_caller_must_fix_cause_no_failover() {
    for (fault, code) in [
        ("validation", Code::InvalidArgument),
        ("access-denied", Code::PermissionDenied),
        ("resource-not-found", Code::NotFound),
    ] {
        let broken = format!("{MODEL}.fault-{fault}");
        let gateway = with_target(over(vec![
            route(&broken, "us-east-1", 1),
            route(MODEL, "us-west-2", 2),
        ]))
        .await;
        let answer = gateway.stream(ask("t")).await;
        assert_eq!(answer.code(), code, "{fault}");
        assert_eq!(called(&gateway.emulator.calls()).len(), 1, "{fault}");
    }
}

/// A throttled route is skipped, and operators see it. If all routes are, callers get a retry
/// delay, and Bedrock gets no calls.
#[tokio::test]
async fn a_throttled_route_is_skipped_and_reported() {
    let gateway = with_target(over(vec![
        route(THROTTLED, "us-east-1", 1),
        route(MODEL, "us-west-2", 2),
    ]))
    .await;
    assert_eq!(
        routes(&gateway, "t").await[0].health(),
        RouteHealth::Unspecified
    );
    gateway.stream(ask("t")).await.is_whole();
    let seen = routes(&gateway, "t").await;
    // The first cooldown is short: on a slow machine it may have ended.
    assert!(matches!(
        seen[0].health(),
        RouteHealth::Throttled | RouteHealth::Healthy
    ));
    assert_eq!(
        seen[0].unavailable_for.is_some(),
        seen[0].health() == RouteHealth::Throttled
    );
    assert_eq!(seen[1].health(), RouteHealth::Healthy);
    assert_eq!((seen[0].order, seen[1].order), (1, 2));
}

#[tokio::test]
async fn a_failed_route_is_skipped() {
    let broken = format!("{MODEL}.fault-service-unavailable");
    let gateway = with_target(over(vec![
        route(&broken, "us-east-1", 1),
        route(MODEL, "us-west-2", 2),
    ]))
    .await;
    for _ in 0..5 {
        gateway.stream(ask("t")).await.is_whole();
    }
    let asked = |calls: &[Call]| {
        called(calls)
            .iter()
            .filter(|(_, region)| *region == "us-east-1")
            .count()
    };
    assert_eq!(asked(&gateway.emulator.calls()), 5);
    let seen = routes(&gateway, "t").await;
    assert!(seen[0].health() == RouteHealth::Unhealthy || seen[0].unavailable_for.is_none());
}
