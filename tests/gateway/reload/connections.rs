//! Connections to AWS: endpoints, their settings, and discovery change without a restart.

use std::{net::SocketAddr, time::Duration};

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::pb::RouteHealth;
use tempfile::TempDir;

use super::{HEAD, RELOADED, Reloading, alias, survives::health};
use crate::harness::{MODEL, ask, paced, soon};

/// `bedrock`, and an alias.
fn sections(bedrock: &str) -> String {
    format!("bedrock: {{{bedrock}}}\n{}", alias("one", MODEL))
}

fn converse_calls(emulator: &Emulator) -> usize {
    let calls = emulator.calls();
    let converse = calls
        .iter()
        .filter(|call| call.operation == "ConverseStream");
    converse.count()
}

/// The number of profiles' listings that have arrived.
fn listings(emulator: &Emulator) -> usize {
    let calls = emulator.calls();
    let listings = calls
        .iter()
        .filter(|call| call.operation == "ListInferenceProfiles");
    listings.count()
}

async fn becomes_true(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn endpoints_change_while_a_stream_is_open() {
    let options = Options {
        pace: paced(Duration::from_millis(20), 200),
        ..Options::default()
    };
    // The first endpoint is that of the environment.
    let mut gateway = Reloading::with(&sections(""), options).await;
    let [second, third] = [(); 2].map(|()| Emulator::start(Options::default()).unwrap());
    let (second_url, third_url) = (second.endpoint_url(), third.endpoint_url());
    let mut open = gateway.open(ask("one")).await;
    open.tokens(2).await;
    assert_eq!(health(&gateway, "one").await, [RouteHealth::Healthy]);

    let changed = sections(&format!("endpoint_url: '{second_url}'"));
    gateway.becomes(&changed, RELOADED).await;
    // The route is the same, so its state stays.
    assert_eq!(health(&gateway, "one").await, [RouteHealth::Healthy]);
    gateway.stream(ask("one")).await.is_whole();
    assert_eq!(converse_calls(&gateway.emulator), 1);
    assert_eq!(converse_calls(&second), 1);

    // The endpoint of a Region takes precedence, but not that of another Region.
    let of_region = |region: &str| {
        sections(&format!(
            "endpoint_url: '{second_url}', endpoints: {{{region}: {{endpoint_url: '{third_url}'}}}}"
        ))
    };
    for (region, expected) in [("us-east-1", (1, 1)), ("us-west-2", (2, 1))] {
        gateway.becomes(&of_region(region), RELOADED).await;
        gateway.stream(ask("one")).await.is_whole();
        let seen = (converse_calls(&second), converse_calls(&third));
        assert_eq!(seen, expected, "{region}");
    }
    let answer = open.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), 200);
    let log = gateway.process.log();
    assert!(!log.contains("need a restart"), "{log}");
}

#[tokio::test]
async fn settings_of_connections_change_while_a_stream_is_open() {
    let options = Options {
        pace: paced(Duration::from_millis(20), 200),
        tls_listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..Options::default()
    };
    let emulator = Emulator::start(options).unwrap();
    let endpoint = emulator.tls_endpoint_url().unwrap();
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, emulator.ca_pem().unwrap()).unwrap();
    let with = |more: &str| {
        let ca = ca.display();
        sections(&format!(
            "endpoint_url: '{endpoint}', extra_ca_file: {ca}{more}"
        ))
    };
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, format!("{HEAD}{}", with(""))).unwrap();
    let mut gateway = Reloading::on(folder, path, emulator).await;
    let mut open = gateway.open(ask("one")).await;
    open.tokens(2).await;
    let calls = [
        (", http1_only: true", "HTTP/1.1"),
        (", idle_timeout: 5s, max_connections: 2", "HTTP/2.0"),
    ];
    for (more, version) in calls {
        gateway.becomes(&with(more), RELOADED).await;
        let mut next = gateway.open(ask("one")).await;
        next.tokens(1).await;
        let calls = gateway.emulator.calls();
        assert_eq!(calls.last().unwrap().http_version, version);
        drop(next);
    }
    let answer = open.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), 200);
    let log = gateway.process.log();
    assert!(!log.contains("need a restart"), "{log}");
}

#[tokio::test]
async fn discovery_changes_without_a_restart() {
    let [first, second] = [(); 2].map(|()| Emulator::start(Options::default()).unwrap());
    let with = |emulator: &Emulator, discovery: &str| {
        let url = emulator.endpoint_url();
        format!(
            "listen: 127.0.0.1:0\nadmin: {{listen: '127.0.0.1:0'}}\ndrain: {{lame_duck: 0}}\n\
             bedrock: {{control_endpoint_url: '{url}'}}\ndiscovery: {{{discovery}}}\n{}",
            alias("one", MODEL)
        )
    };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, with(&first, "enabled: false")).unwrap();
    let runtime = Emulator::start(Options::default()).unwrap();
    let mut gateway = Reloading::on(folder, path, runtime).await;
    gateway.stream(ask("one")).await.is_whole();
    assert_eq!(listings(&first), 0);

    let becomes = async |gateway: &mut Reloading, text: &str| {
        std::fs::write(gateway.path(), text).unwrap();
        gateway.process.logged(RELOADED).await;
    };
    becomes(&mut gateway, &with(&first, "refresh: 1h")).await;
    becomes_true(|| listings(&first) == 1).await;
    becomes(&mut gateway, &with(&first, "refresh: 50ms")).await;
    becomes_true(|| listings(&first) > 3).await;
    becomes(&mut gateway, &with(&second, "refresh: 1h")).await;
    becomes_true(|| listings(&second) == 1).await;
    // A configuration without discovery makes no more lookups, but changes of it take effect.
    becomes(&mut gateway, &with(&first, "enabled: false")).await;
    becomes(&mut gateway, &with(&second, "refresh: 30m")).await;
    becomes_true(|| listings(&second) == 2).await;
    let log = gateway.process.log();
    assert!(!log.contains("need a restart"), "{log}");
}
