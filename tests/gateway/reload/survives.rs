//! What survives a reload: open calls with their configuration, and the state of the process.

use std::time::Duration;

use bedrock_emulator::Options;
use bedrock_grpc::pb::{GetTargetRequest, RouteHealth, target_service_client::TargetServiceClient};
use serde_json::Value;
use tonic::Code;

use super::{RELOADED, Reloading, alias};
use crate::harness::{MODEL, ask, key_of, keyed, paced, sha256_of, soon};

#[tokio::test]
async fn an_open_stream_of_a_removed_target_runs_to_its_end() {
    let options = Options {
        pace: paced(Duration::from_millis(20), 100),
        ..Options::default()
    };
    let mut gateway = Reloading::with(&alias("one", MODEL), options).await;
    let mut stream = gateway.open(ask("one")).await;
    stream.tokens(2).await;
    gateway.becomes(&alias("two", MODEL), RELOADED).await;
    assert_eq!(gateway.stream(ask("one")).await.code(), Code::NotFound);
    let answer = stream.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), 100);
    // No call uses the old configuration any more.
    soon(async {
        while !gateway
            .metric("bedrock_grpc_config_generations_in_use")
            .await
            .ends_with(" 1")
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_health_of_a_route_survives() {
    let other = "amazon.nova-micro-v1:0";
    let target = |name: &str| {
        format!(
            "targets: {{{name}: {{routes: [{{model_id: '{MODEL}'}}, {{model_id: '{other}', order: 2}}]}}}}\n"
        )
    };
    let mut gateway = Reloading::start(&target("one")).await;
    gateway.stream(ask("one")).await.is_whole();
    assert_eq!(
        health(&gateway, "one").await,
        [RouteHealth::Healthy, RouteHealth::Unspecified]
    );
    gateway.becomes(&target("two"), RELOADED).await;
    assert_eq!(
        health(&gateway, "two").await,
        [RouteHealth::Healthy, RouteHealth::Unspecified]
    );
    // Metrics show the routes of the current configuration.
    let breakers = gateway.metric("bedrock_grpc_breaker_state").await;
    assert_eq!(breakers.lines().count(), 6, "{breakers}");
}

/// Returns what this replica knows of the routes of a target.
pub(super) async fn health(gateway: &Reloading, target: &str) -> Vec<RouteHealth> {
    let address = format!("http://{}", gateway.address);
    let mut client = TargetServiceClient::connect(address).await.unwrap();
    let request = GetTargetRequest {
        target: target.to_owned(),
    };
    let answer = soon(client.get_target(request)).await.unwrap().into_inner();
    let routes = answer.target.unwrap().routes;
    routes.iter().map(|route| route.health()).collect()
}

#[tokio::test]
async fn counts_of_limits_survive_and_new_limits_apply() {
    let key = key_of();
    let hash = sha256_of(&key);
    let with = |most: u32| {
        format!(
            "{}callers: {{team-a: {{keys: [{{sha256: {hash}}}], limits: {{requests_per_minute: {most}}}}}}}\n",
            alias("one", MODEL)
        )
    };
    let mut gateway = Reloading::start(&with(3)).await;
    let codes = async |gateway: &Reloading, count: usize| {
        let mut codes = Vec::new();
        for _ in 0..count {
            codes.push(gateway.stream(keyed(ask("one"), &key)).await.code());
        }
        codes
    };
    assert_eq!(codes(&gateway, 2).await, [Code::Ok; 2]);
    gateway
        .becomes(&format!("{}# same\n", with(3)), RELOADED)
        .await;
    assert_eq!(
        codes(&gateway, 2).await,
        [Code::Ok, Code::ResourceExhausted]
    );
    let line = gateway.becomes(&with(1_000), RELOADED).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["changed"], "callers.team-a.limits.requests_per_minute");
    assert_eq!(codes(&gateway, 1).await, [Code::Ok]);
}

/// The alias' model and the metadata for cost reports change together. No call mixes them.
#[tokio::test]
async fn a_call_sees_one_configuration() {
    let options = Options {
        pace: paced(Duration::ZERO, 2),
        ..Options::default()
    };
    let models = [MODEL, "amazon.nova-micro-v1:0", "amazon.nova-pro-v1:0"];
    let with = |number: usize| {
        let model = models[number % models.len()];
        format!(
            "{}request_metadata: {{set: {{model: '{model}'}}}}\n",
            alias("one", model)
        )
    };
    let mut gateway = Reloading::with(&with(0), options).await;
    let client = gateway.client().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (mut client, stop) = (client.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.is_cancelled() {
                    let stream = crate::harness::Stream::open(&mut client, ask("one")).await;
                    stream.end().await.is_whole();
                }
            })
        })
        .collect();
    for number in 1..=6 {
        gateway.becomes(&with(number), RELOADED).await;
    }
    stop.cancel();
    for caller in callers {
        soon(caller).await.unwrap();
    }
    let mut seen = std::collections::BTreeSet::new();
    for call in gateway.emulator.calls() {
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(body["requestMetadata"]["model"], call.model_id.as_str());
        seen.insert(call.model_id);
    }
    assert_eq!(seen.len(), models.len(), "{seen:?}");
}
