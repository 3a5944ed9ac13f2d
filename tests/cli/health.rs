//! `health`.

use tokio::net::TcpListener;
use tonic_health::ServingStatus;

use super::{gateway::Gateway, process::Process};

#[tokio::test]
async fn the_exit_code_is_the_health() {
    let gateway = Gateway::start().await;
    let probe = async |args: &[&str]| Process::start(gateway.address, args).end().await;

    let ended = probe(&["health"]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "SERVING\n"),
        "{ended:?}"
    );

    let name = "bedrock.inference.v1.InferenceService";
    gateway
        .health
        .set_service_status(name, ServingStatus::NotServing)
        .await;
    let ended = probe(&["health", "--service", name]).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(1), "NOT_SERVING\n")
    );

    gateway
        .health
        .set_service_status(name, ServingStatus::Serving)
        .await;
    let ended = probe(&["health", "--service", name]).await;
    assert_eq!(ended.code, Some(0));

    let ended = probe(&["health", "--service", "nonsense"]).await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended.stderr.starts_with("error: NOT_FOUND: "),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn an_unreachable_gateway_is_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ended = Process::start(address, &["health"]).end().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended.stderr.contains("cannot be reached"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_gateway_that_says_nothing_is_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ended = Process::start(address, &["health", "--deadline", "1s"])
        .end()
        .await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended.stderr.starts_with("error: DEADLINE_EXCEEDED: "),
        "{}",
        ended.stderr
    );
}
