//! grpc.health.v1.

use std::time::Duration;

use http::StatusCode;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

use crate::harness::{Gateway, Process, ask, faulty, get, invoke, soon};

const SERVICES: [&str; 6] = [
    "",
    "bedrock.inference.v1.GuardrailService",
    "bedrock.inference.v1.InferenceService",
    "bedrock.inference.v1.LimitsService",
    "bedrock.inference.v1.ModelService",
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

/// Errors from Bedrock are reported call by call. If a gateway reported NOT_SERVING because of
/// them, all its pods would be removed at once.
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

/// A client of the admin port, which speaks gRPC without TLS.
fn admin(gateway: &Gateway) -> HealthClient<Channel> {
    let address = format!("http://{}", gateway.admin);
    HealthClient::new(Endpoint::from_shared(address).unwrap().connect_lazy())
}

async fn status(client: &mut HealthClient<Channel>, name: &str) -> ServingStatus {
    let response = soon(client.check(service(name))).await.unwrap();
    response.get_ref().status()
}

#[tokio::test]
async fn probes_of_the_admin_port_tell_readiness_from_liveness() {
    let mut gateway =
        Gateway::with(|config, _| config.drain.lame_duck = Duration::from_secs(600)).await;
    let mut client = admin(&gateway);
    for name in ["", "liveness"] {
        assert_eq!(status(&mut client, name).await, ServingStatus::Serving);
    }
    let unknown = client.check(service("no.such.Service")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watch = client.watch(service("")).await.unwrap().into_inner();
    let first = soon(watch.message()).await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);

    gateway.stop.drain.cancel();
    let second = soon(watch.message()).await.unwrap().unwrap();
    assert_eq!(second.status(), ServingStatus::NotServing);
    assert_eq!(status(&mut client, "").await, ServingStatus::NotServing);
    assert_eq!(
        status(&mut client, "liveness").await,
        ServingStatus::Serving
    );
    // HTTP/1.1 on the same port returns the same.
    assert_eq!(
        get(gateway.admin, "/readyz").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(get(gateway.admin, "/livez").await.0, StatusCode::OK);
    // Also after the lame-duck phase, while open streams end. A health watch does not delay the
    // exit.
    gateway.stop.now.cancel();
    gateway.finished().await;
}

#[tokio::test]
async fn the_admin_port_serves_nothing_else_by_grpc() {
    let gateway = Gateway::start().await;
    assert_eq!(
        get(
            gateway.admin,
            "/bedrock.inference.v1.InferenceService/Invoke"
        )
        .await
        .0,
        StatusCode::NOT_FOUND
    );
    let address = format!("http://{}", gateway.admin);
    let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
    let mut client =
        bedrock_grpc::pb::inference_service_client::InferenceServiceClient::new(channel);
    let refused = soon(client.invoke(invoke(ask("nova")))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[tokio::test]
async fn the_probe_for_containers_works_on_both_ports() {
    let gateway = Gateway::start().await;
    let probe = async |address: std::net::SocketAddr, service: &str| {
        let address = format!("http://{address}");
        let args = [
            "health",
            "--deadline",
            "60s",
            "--address",
            &address,
            "--service",
            service,
        ];
        let ended = Process::start(args, []).end().await;
        (ended.code, ended.stdout)
    };
    let serving = (Some(0), "SERVING\n".to_owned());
    assert_eq!(probe(gateway.admin, "").await, serving);
    assert_eq!(probe(gateway.admin, "liveness").await, serving);
    assert_eq!(probe(gateway.address, "").await, serving);
    assert_eq!(probe(gateway.admin, "nonsense").await.0, Some(1));
}
