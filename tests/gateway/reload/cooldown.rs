//! The cooldown of a throttled route survives a reload.

use std::time::Duration;

use bedrock_grpc::pb::{
    GetTargetRequest, Route, RouteHealth, target_service_client::TargetServiceClient,
};

use super::{RELOADED, Reloading};
use crate::harness::{MODEL, ask, soon};

/// Bedrock throttles each call of this model, and asks for no retry delay.
const THROTTLED: &str = "amazon.nova-lite-v1:0.fault-throttling";
/// The cooldown at which the configuration is changed. A reload takes about a second.
const LONG: Duration = Duration::from_secs(5);

/// The first route of a target.
async fn first_route(gateway: &Reloading, target: &str) -> Route {
    let address = format!("http://{}", gateway.address);
    let mut client = TargetServiceClient::connect(address).await.unwrap();
    let request = GetTargetRequest {
        target: target.to_owned(),
    };
    let answer = soon(client.get_target(request)).await.unwrap().into_inner();
    answer.target.unwrap().routes.swap_remove(0)
}

fn cooldown(route: &Route) -> Option<Duration> {
    let is_throttled = route.health() == RouteHealth::Throttled;
    is_throttled.then(|| Duration::try_from(route.unavailable_for.unwrap()).unwrap())
}

fn throttled_calls(gateway: &Reloading) -> usize {
    let calls = gateway.emulator.calls();
    calls
        .iter()
        .filter(|call| call.model_id == THROTTLED)
        .count()
}

#[tokio::test]
async fn a_cooldown_survives() {
    let target = |name: &str| {
        format!(
            "targets: {{{name}: {{routes: [{{model_id: '{THROTTLED}'}}, {{model_id: '{MODEL}', order: 2}}]}}}}\n"
        )
    };
    let mut gateway = Reloading::start(&target("one")).await;
    // Each cooldown is twice as long as the one before, so a few attempts are enough. Calls in
    // between take the other route. Nothing reads the log meanwhile.
    let client = gateway.client().await;
    let before = loop {
        let mut client = client.clone();
        let stream = crate::harness::Stream::open(&mut client, ask("one")).await;
        stream.end().await.is_whole();
        let route = first_route(&gateway, "one").await;
        if let Some(rest) = cooldown(&route).filter(|rest| *rest >= LONG) {
            break rest;
        }
    };
    let attempts = throttled_calls(&gateway);
    assert!((2..20).contains(&attempts), "{attempts}");

    gateway.becomes(&target("two"), RELOADED).await;
    let rest = cooldown(&first_route(&gateway, "two").await).expect("a cooldown");
    assert!(rest < before, "{rest:?} {before:?}");
    let answer = gateway.stream(ask("two")).await;
    answer.is_whole();
    assert_eq!(throttled_calls(&gateway), attempts);
}
