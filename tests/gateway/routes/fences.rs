//! Region fences and allowed model IDs, which restrict where requests may go.

use bedrock_grpc::{
    aws::{Fence, FencePart, Geography},
    config::RouteOptions,
};
use tonic::Code;

use super::{PROFILE, called, gateway, routes, start};
use crate::harness::{MODEL, ask, over, route};

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

/// A request is first sent to its source Region, even if the profile serves it in another one.
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
