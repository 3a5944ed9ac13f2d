//! Several routes of one target: which one is called, when another one is called, and what callers
//! and operators see.

use std::time::Duration;

use bedrock_emulator::{Call, Condition};
use bedrock_grpc::{
    aws::{Fence, FencePart, Geography},
    config::{Alias, Config, RequestMetadata, RouteOptions},
    pb::{GetTargetRequest, MessageStartEvent, Route, RouteHealth, stream_invoke_response::Event},
};
use tonic::Code;

use crate::harness::{Answer, Gateway, MODEL, ask, over, route, soon};

const PROFILE: &str = "us.amazon.nova-lite-v1:0";
const THROTTLED: &str = "amazon.nova-lite-v1:0.fault-throttling";

async fn gateway(change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::with(|config, _| change(config)).await
}

async fn with_target(alias: Alias) -> Gateway {
    gateway(|config| {
        config.targets.aliases.insert("t".to_owned(), alias);
    })
    .await
}

fn start(answer: &Answer) -> MessageStartEvent {
    match answer.events().next() {
        Some(Event::MessageStart(start)) => start.clone(),
        _ => panic!("{:?}", answer.shape()),
    }
}

async fn routes(gateway: &Gateway, name: &str) -> Vec<Route> {
    let request = GetTargetRequest {
        target: name.to_owned(),
    };
    let target = gateway.targets().get_target(request).await.unwrap();
    target.into_inner().target.unwrap().routes
}

/// Repeats the query until what the gateway knows of a target is as expected.
async fn until(gateway: &Gateway, name: &str, wanted: impl Fn(&[Route]) -> bool) -> Vec<Route> {
    soon(async {
        loop {
            let routes = routes(gateway, name).await;
            if wanted(&routes) {
                return routes;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

fn called(calls: &[Call]) -> Vec<(&str, &str)> {
    calls
        .iter()
        .filter(|call| call.operation == "ConverseStream")
        .map(|call| (call.model_id.as_str(), call.region.as_str()))
        .collect()
}

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

#[tokio::test]
async fn bedrock_tells_where_profiles_lead() {
    let application =
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/emulator0001";
    let gateway = gateway(|config| {
        config.discovery.enabled = true;
        let alias = over(vec![
            route(PROFILE, "us-east-1", 1),
            RouteOptions {
                order: 2,
                ..RouteOptions::to(application)
            },
            route("eu.amazon.nova-lite-v1:0", "eu-west-1", 3),
        ]);
        config.targets.aliases.insert("t".to_owned(), alias);
    })
    .await;
    let seen = until(&gateway, "t", |routes| {
        routes.iter().all(|route| !route.status.is_empty())
    })
    .await;
    for route in &seen {
        assert_eq!(route.status, "ACTIVE");
        assert_eq!(route.model, "amazon.nova-lite-v1:0");
        assert!(route.destination_regions.len() > 1, "{route:?}");
    }
    let us = |regions: &[String]| regions.iter().all(|region| region.starts_with("us-"));
    assert!(us(&seen[0].destination_regions) && us(&seen[1].destination_regions));
    assert!(
        seen[2]
            .destination_regions
            .iter()
            .all(|region| region.starts_with("eu-"))
    );

    let answer = gateway.stream(ask("t")).await;
    let target = start(&answer).target.unwrap();
    assert_eq!(target.destination_regions, seen[0].destination_regions);
    // An on-demand model is served in its source Region.
    let answer = gateway.stream(ask(MODEL)).await;
    assert_eq!(
        start(&answer).target.unwrap().destination_regions,
        ["us-east-1"]
    );
}

/// How often the gateway requested lists from the control plane.
fn lists(calls: &[Call]) -> usize {
    calls
        .iter()
        .filter(|call| call.operation == "ListInferenceProfiles" && call.end.is_some())
        .count()
}

/// The gateway keeps what it knows when the control plane fails, and learns later what failed at
/// first. Calls wait for neither.
#[tokio::test]
async fn destinations_of_profiles_are_kept_and_can_be_learned_late() {
    let fault = "access-denied".parse().map(Condition::Fault).unwrap();
    let gateway = gateway(|config| {
        config.discovery.enabled = true;
        config.discovery.refresh = Duration::from_millis(50);
        let alias = over(vec![route(PROFILE, "us-east-1", 1)]);
        config.targets.aliases.insert("t".to_owned(), alias);
    })
    .await;
    let known = |routes: &[Route]| !routes[0].destination_regions.is_empty();
    until(&gateway, "t", known).await;

    gateway.emulator.set_region("us-east-1", fault);
    let before = lists(&gateway.emulator.calls());
    soon(gateway.emulator.wait_for(|calls| lists(calls) > before + 3)).await;
    assert!(known(&routes(&gateway, "t").await));

    // Profiles of a Region that refuses everything cannot be looked up, but calls through them are
    // routed.
    gateway.emulator.set_region("eu-west-1", fault);
    gateway.emulator.clear_region("us-east-1");
    let arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0";
    assert_eq!(
        gateway.stream(ask(arn)).await.code(),
        Code::PermissionDenied
    );
    gateway.emulator.clear_region("eu-west-1");
    gateway.stream(ask(arn)).await.is_whole();
    until(&gateway, arn, known).await;
}

#[tokio::test]
async fn a_fence_keeps_requests_in() {
    let eu = || {
        Fence::of(
            Geography::named("eu")
                .map(FencePart::Geography)
                .into_iter()
                .collect(),
        )
    };
    let application =
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/emulator0001";
    let gateway = gateway(|config| {
        config.targets.only = eu();
        config.targets.aliases.insert(
            "mixed".to_owned(),
            over(vec![
                RouteOptions::to(application),
                route(PROFILE, "us-east-1", 1),
                route("eu.amazon.nova-lite-v1:0", "eu-west-1", 2),
            ]),
        );
    })
    .await;
    let answer = gateway.stream(ask("mixed")).await;
    answer.is_whole();
    assert_eq!(start(&answer).target.unwrap().source_region, "eu-west-1");
    let seen = routes(&gateway, "mixed").await;
    let outside: Vec<_> = seen.iter().map(|route| route.outside_fence).collect();
    assert_eq!(outside, [true, true, false]);
    for target in [
        PROFILE,
        "nova",
        application,
        "global.anthropic.claude-sonnet-5",
    ] {
        let answer = gateway.stream(ask(target)).await;
        assert_eq!(answer.code(), Code::FailedPrecondition, "{target}");
        assert_eq!(answer.details().reason(), "TARGET_OUTSIDE_FENCE");
    }
    let calls = gateway.emulator.calls();
    assert_eq!(called(&calls), [("eu.amazon.nova-lite-v1:0", "eu-west-1")]);
}

/// A request reaches its source Region first, wherever the profile then has it served.
#[tokio::test]
async fn a_fence_covers_the_source_region_and_knows_its_regions_by_name() {
    let eu_profile = "eu.amazon.nova-lite-v1:0";
    let foreign_arn =
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0";
    let made_up =
        "arn:aws:bedrock:eu-evil-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0";
    let gateway = gateway(|config| {
        config.targets.only = Fence::of(vec![
            Geography::named("eu").map(FencePart::Geography).unwrap(),
        ]);
        for (name, routes) in [
            ("from-us", vec![route(eu_profile, "us-east-1", 1)]),
            ("foreign", vec![RouteOptions::to(foreign_arn)]),
            ("london", vec![route(MODEL, "eu-west-2", 1)]),
            ("evil", vec![route(MODEL, "eu-evil-1", 1)]),
            ("home", vec![route(eu_profile, "eu-central-1", 1)]),
        ] {
            config.targets.aliases.insert(name.to_owned(), over(routes));
        }
    })
    .await;
    for target in [
        "from-us",
        "foreign",
        "london",
        "evil",
        eu_profile,
        foreign_arn,
        made_up,
    ] {
        let answer = gateway.stream(ask(target)).await;
        assert_eq!(answer.code(), Code::FailedPrecondition, "{target}");
        assert_eq!(answer.details().reason(), "TARGET_OUTSIDE_FENCE");
    }
    gateway.stream(ask("home")).await.is_whole();
    let calls = gateway.ended(1).await;
    assert_eq!(called(&calls), [(eu_profile, "eu-central-1")]);
}

#[tokio::test]
async fn a_pattern_of_arns_never_matches_beyond_the_part_that_it_is_for() {
    let gateway = gateway(|config| {
        config.targets.allowed_model_ids = [
            "arn:aws:bedrock:us-*:123456789012:inference-profile/*",
            "*.nova-*",
        ]
        .map(str::to_owned)
        .to_vec();
    })
    .await;
    let profile = "inference-profile/us.amazon.nova-lite-v1:0";
    for target in [
        format!("arn:aws:bedrock:us-east-1:123456789012:{profile}"),
        PROFILE.to_owned(),
    ] {
        gateway.stream(ask(&target)).await.is_whole();
    }
    for arn in [
        format!("us-east-1:999999999999:{profile}"),
        format!("us-east-1:999999999999:application-inference-profile/x:123456789012:{profile}"),
        format!("us-east-1:123456789012:application-{profile}"),
        format!("us-east-1:123456789012:prompt-router/{profile}"),
        format!("eu-west-1:123456789012:{profile}"),
        "us-east-1:999999999999:imported-model/a.nova-12345".to_owned(),
    ] {
        let answer = gateway.stream(ask(&format!("arn:aws:bedrock:{arn}"))).await;
        assert_ne!(answer.code(), Code::Ok, "{arn}");
    }
    assert_eq!(gateway.ended(2).await.len(), 2);
}

#[tokio::test]
async fn a_model_that_needs_a_profile_names_it() {
    let gateway = gateway(|_| {}).await;
    let model = "anthropic.claude-sonnet-4-20250514-v1:0";
    let answer = gateway.stream(ask(model)).await;
    assert_eq!(answer.code(), Code::FailedPrecondition);
    assert_eq!(answer.details().reason(), "INFERENCE_PROFILE_REQUIRED");
    let message = answer.end.unwrap_err().message().to_owned();
    assert!(
        message.contains(&format!("call it as `us.{model}`")),
        "{message}"
    );
}

/// What reaches Bedrock as `requestMetadata`.
async fn attributed(gateway: &Gateway, target: &str, header: Option<&str>) -> serde_json::Value {
    let mut request = ask(target);
    let input = request.input.get_or_insert_default();
    for (key, value) in [("team", "forged"), ("mine", "kept"), ("caller", "forged")] {
        input
            .request_metadata
            .insert(key.to_owned(), value.to_owned());
    }
    let mut request = tonic::Request::new(request);
    if let Some(value) = header {
        request
            .metadata_mut()
            .insert("x-caller", value.parse().unwrap());
    }
    gateway.stream(request).await.is_whole();
    let calls = gateway.ended(1).await;
    let body: serde_json::Value = serde_json::from_slice(&calls.last().unwrap().body).unwrap();
    body["requestMetadata"].clone()
}

#[tokio::test]
async fn the_operators_request_metadata_can_not_be_overwritten() {
    let gateway = gateway(|config| {
        config.request_metadata = RequestMetadata {
            set: [("environment".to_owned(), "test".to_owned())].into(),
            from_headers: [("caller".to_owned(), "x-caller".to_owned())].into(),
        };
        let alias = Alias {
            request_metadata: [("team".to_owned(), "a".to_owned())].into(),
            ..Alias::to(MODEL)
        };
        config.targets.aliases.insert("t".to_owned(), alias);
    })
    .await;
    assert_eq!(
        attributed(&gateway, "t", Some("alice")).await,
        serde_json::json!({"caller": "alice", "environment": "test", "mine": "kept", "team": "a"})
    );
    assert_eq!(
        attributed(&gateway, "t", None).await,
        serde_json::json!({"environment": "test", "mine": "kept", "team": "a"})
    );

    let mut request = ask("t");
    let input = request.input.get_or_insert_default();
    for key in 0..15 {
        input
            .request_metadata
            .insert(format!("k{key}"), String::new());
    }
    let answer = gateway.stream(request).await;
    assert_eq!(answer.code(), Code::InvalidArgument);
    assert_eq!(answer.details().fields(), ["input.request_metadata"]);
}

#[tokio::test]
async fn a_target_can_have_its_own_limits() {
    let gateway = gateway(|config| {
        let mut alias = over(vec![
            route(
                &format!("{MODEL}.fault-stall-before-headers"),
                "us-east-1",
                1,
            ),
            route(MODEL, "us-west-2", 2),
        ]);
        alias.limits.first_event = Some(Duration::from_millis(200));
        config.targets.aliases.insert("t".to_owned(), alias);
        let mut short = Alias::to(format!("{MODEL}.fault-stall-after-2"));
        short.limits.idle = Some(Duration::from_millis(200));
        config.targets.aliases.insert("idle".to_owned(), short);
        let mut capped = Alias::to(format!("{MODEL}.fault-stall-after-2"));
        capped.limits.max_deadline = Some(Duration::from_millis(200));
        config.targets.aliases.insert("capped".to_owned(), capped);
    })
    .await;
    let answer = gateway.stream(ask("t")).await;
    answer.is_whole();
    assert_eq!(start(&answer).attempts[0].failure_reason, "UPSTREAM_IDLE");
    let answer = gateway.stream(ask("idle")).await;
    assert_eq!(answer.code(), Code::Unavailable);
    assert_eq!(answer.details().reason(), "UPSTREAM_IDLE");
    let answer = gateway.stream(ask("capped")).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
}
