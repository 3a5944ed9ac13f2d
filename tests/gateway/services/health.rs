//! grpc.health.v1.

use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

use crate::harness::{Gateway, ask, faulty, soon};

const SERVICES: [&str; 3] = [
    "",
    "bedrock.inference.v1.InferenceService",
    "bedrock.inference.v1.TargetService",
];

fn service(name: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: name.to_owned(),
    }
}

#[tokio::test]
async fn the_server_and_each_service_serve() {
    let gateway = Gateway::start().await;
    let mut client = HealthClient::new(gateway.channel());
    for name in SERVICES {
        let response = client.check(service(name)).await.unwrap();
        assert_eq!(
            response.get_ref().status(),
            ServingStatus::Serving,
            "{name:?}"
        );
    }
    let unknown = client.check(service("no.such.Service")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn watchers_learn_of_the_drain_and_hold_nothing_up() {
    let mut gateway = Gateway::start().await;
    let mut client = HealthClient::new(gateway.channel());
    let mut watches = Vec::new();
    for name in SERVICES {
        let mut watch = client.watch(service(name)).await.unwrap().into_inner();
        let first: HealthCheckResponse = soon(watch.message()).await.unwrap().unwrap();
        assert_eq!(first.status(), ServingStatus::Serving, "{name:?}");
        watches.push(watch);
    }
    gateway.stop.drain.cancel();
    for mut watch in watches {
        let mut last = ServingStatus::Serving;
        while let Ok(Some(change)) = soon(watch.message()).await {
            last = change.status();
        }
        assert_ne!(last, ServingStatus::Serving);
    }
    gateway.finished().await;
}

/// Bedrock's troubles are told call by call: a gateway that took itself out for them would take all its pods out at once.
#[tokio::test]
async fn bedrocks_errors_do_not_make_the_gateway_unhealthy() {
    let gateway = Gateway::start().await;
    for _ in 0..5 {
        gateway.stream(faulty("service-unavailable")).await;
    }
    let mut client = HealthClient::new(gateway.channel());
    let response = client.check(service("")).await.unwrap();
    assert_eq!(response.get_ref().status(), ServingStatus::Serving);
    gateway.stream(ask("nova")).await.is_whole();
}
