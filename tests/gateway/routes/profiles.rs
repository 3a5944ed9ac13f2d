//! Inference profiles, whose destination Regions Bedrock's control plane lists.

use std::time::Duration;

use bedrock_emulator::{Call, Condition};
use bedrock_grpc::{config::RouteOptions, pb::Route};
use tonic::Code;

use super::{PROFILE, gateway, routes, start, until};
use crate::harness::{MODEL, ask, over, route, soon};

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
