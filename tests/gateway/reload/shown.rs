//! The configuration that other programs can see: the admin port shows it to its own machine, with
//! secrets masked; `diff --admin` compares a file with it; TargetService returns its version.

use std::{net::Ipv4Addr, process::Stdio};

use bedrock_grpc::{
    access::key::hex_sha256,
    pb::{GetTargetRequest, ListTargetsRequest, target_service_client::TargetServiceClient},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
};

use super::{HEAD, RELOADED, Reloading, alias};
use crate::harness::{MODEL, get, key_of, sha256_of, soon};

/// Sends a request for the configuration from this address, and returns all that is answered.
async fn ask(gateway: &Reloading, from: Ipv4Addr, before: &str, head: &str) -> String {
    soon(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let mut stream = socket.connect(gateway.admin).await.unwrap();
        let request = format!("{before}GET /config HTTP/1.1\r\n{head}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    })
    .await
}

async fn shown(gateway: &Reloading) -> Value {
    let (status, text) = get(gateway.admin, "/config").await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn the_admin_port_shows_the_configuration_in_use_without_its_secrets() {
    let hash = sha256_of(&key_of());
    let with = |model: &str| {
        format!(
            "{}only: [us]\ncallers: {{team-a: {{keys: [{{sha256: {hash}}}]}}}}\nworkers: 2\n\
             traces: {{otlp_endpoint: 'http://u:hunter2@127.0.0.1:9', headers: {{x-key: 'hunter2 ${{AWS_REGION}}'}}}}\n",
            alias("one", model)
        )
    };
    let mut gateway = Reloading::start(&with(MODEL)).await;
    let first = shown(&gateway).await;
    assert_eq!(first["generation"], 1);
    let first_hash = hex_sha256(&format!("{HEAD}{}", with(MODEL)));
    assert_eq!(first["sha256"], first_hash.as_str());
    assert_eq!(first["config"]["targets"]["one"]["model_id"], MODEL);
    assert_eq!(
        first["config"]["callers"]["team-a"]["keys"],
        json!([{"sha256": "***"}])
    );
    assert_eq!(
        first["config"]["traces"]["otlp_endpoint"],
        "http://***@127.0.0.1:9"
    );
    assert_eq!(
        first["config"]["traces"]["headers"]["x-key"],
        "***${AWS_REGION}"
    );
    assert_eq!(first["needs_restart"], json!([]));
    assert_eq!(
        first["protection"],
        json!(["callers", "access.required", "targets", "only"])
    );
    for secret in ["hunter2", &hash] {
        assert!(!first.to_string().contains(secret), "{first}");
    }

    let effective = &first["effective"];
    assert_eq!(effective["targets"], first["config"]["targets"]);
    assert_eq!(effective["limits"]["heartbeat"], "20s");
    assert_eq!(effective["limits"]["max_attempts"], 1);
    assert_eq!(effective["bedrock"]["region"], "us-east-1");
    assert_eq!(effective["access"]["required"], true);
    let info = gateway.metric("bedrock_grpc_config_info").await;
    assert!(info.contains(&first_hash), "{info}");
    let generation = gateway.metric("bedrock_grpc_config_generation ").await;
    assert!(generation.ends_with(" 1"), "{generation}");

    // A refused change is not shown, a change that takes effect is.
    gateway.becomes("targets: 1\n", super::REFUSED).await;
    assert_eq!(shown(&gateway).await, first);
    let other = "amazon.nova-micro-v1:0";
    let changed = with(other).replace("workers: 2", "workers: 3");
    gateway.becomes(&changed, RELOADED).await;
    let second = shown(&gateway).await;
    assert_eq!(second["generation"], 2);
    assert_eq!(second["config"]["targets"]["one"]["model_id"], other);
    assert_eq!(second["needs_restart"], json!(["workers"]));
}

#[tokio::test]
async fn the_admin_port_names_the_callers_of_the_keys_file() {
    let [first, second] = [(); 2].map(|()| sha256_of(&key_of()));
    let keys = crate::harness::file(&format!("team-a: [{{sha256: {first}}}]\n"));
    let sections = format!(
        "{}callers: {{team-a: {{}}, team-b: {{}}}}\naccess: {{keys_file: {}}}\n",
        alias("one", MODEL),
        keys.path().display()
    );
    let mut gateway = Reloading::start(&sections).await;
    let key = json!({"sha256": "***", "of_keys_file": true});
    let callers = async |gateway: &Reloading| {
        let shown = shown(gateway).await;
        for secret in [&first, &second] {
            assert!(!shown.to_string().contains(secret), "{shown}");
        }
        shown["effective"]["callers"].clone()
    };
    let expected = json!({"team-a": {"keys": [key]}, "team-b": {}});
    assert_eq!(callers(&gateway).await, expected);
    let both = format!("team-a: [{{sha256: {first}}}]\nteam-b: [{{sha256: {second}}}]\n");
    std::fs::write(keys.path(), both).unwrap();
    gateway.process.logged(RELOADED).await;
    let expected = json!({"team-a": {"keys": [key]}, "team-b": {"keys": [key]}});
    assert_eq!(callers(&gateway).await, expected);
}

#[tokio::test]
async fn the_configuration_is_shown_to_this_machine_only() {
    let gateway = Reloading::start(&alias("one", MODEL)).await;
    let here = Ipv4Addr::LOCALHOST;
    let shown = ask(&gateway, here, "", "host: localhost\r\n").await;
    assert!(shown.starts_with("HTTP/1.1 200"), "{shown}");
    assert!(shown.contains("cache-control: no-store"), "{shown}");
    // A sidecar of a service mesh, a proxy on this machine, a web page after DNS rebinding.
    let sidecar = Ipv4Addr::new(127, 0, 0, 6);
    for (from, head) in [
        (sidecar, "host: localhost\r\n"),
        (sidecar, "host: localhost\r\nx-forwarded-for: 127.0.0.1\r\n"),
        (here, "host: localhost\r\nx-forwarded-for: 127.0.0.1\r\n"),
        (here, "host: localhost\r\nForwarded: for=127.0.0.1\r\n"),
        (here, "host: localhost\r\nvia: 1.1 proxy\r\n"),
        (here, "host: localhost\r\nx-envoy-internal: true\r\n"),
        (here, "host: page.example.com\r\n"),
    ] {
        let refused = ask(&gateway, from, "", head).await;
        assert!(
            refused.starts_with("HTTP/1.1 403"),
            "{from} {head}: {refused}"
        );
        assert!(!refused.contains(MODEL), "{refused}");
    }
    let proxied = "PROXY TCP4 127.0.0.1 127.0.0.1 5 6\r\n";
    for from in [here, sidecar] {
        let refused = ask(&gateway, from, proxied, "host: localhost\r\n").await;
        assert!(!refused.contains(MODEL), "{refused}");
    }
}

#[tokio::test]
async fn a_file_is_compared_with_a_running_gateway() {
    let hash = |_| sha256_of(&key_of());
    let (old_hash, new_hash) = (hash(0), hash(1));
    let with = |model: &str, hash: &str, more: &str| {
        format!(
            "{HEAD}{}callers: {{team-a: {{keys: [{{sha256: {hash}}}]}}}}\n{more}",
            alias("one", model)
        )
    };
    let old = with(MODEL, &old_hash, "only: [us]\n");
    let gateway = Reloading::start(old.strip_prefix(HEAD).unwrap()).await;
    let diff = async |text: &str| {
        let path = gateway.folder.path().join("new.yaml");
        std::fs::write(&path, text).unwrap();
        let url = format!("http://{}", gateway.admin);
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
            .args(["diff", "--admin", &url, path.to_str().unwrap()])
            .env_clear()
            .stderr(Stdio::inherit())
            .output();
        let output = soon(output).await.unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    assert_eq!(diff(&old).await, (Some(0), String::new()));
    let unknown = "callers.team-a.keys[0].sha256: may differ; the gateway masks the value\n";
    let new = with(MODEL, &new_hash, "only: [us]\n");
    assert_eq!(diff(&new).await, (Some(1), unknown.to_owned()));
    let new = with("amazon.nova-pro-v1:0", &old_hash, "workers: 5\n");
    let (code, out) = diff(&new).await;
    assert_eq!(code, Some(64), "{out}");
    let expected = format!(
        "only: [\"us\"] -> (not set)\n\
         targets.one.model_id: {MODEL} -> amazon.nova-pro-v1:0\n\
         workers: (not set) -> 5  (needs a restart)\n\
         {unknown}\
         refused: only: the region fence is missing; "
    );
    assert!(out.starts_with(&expected), "{out}");
}

#[tokio::test]
async fn target_service_tells_the_version_of_the_configuration() {
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    let address = format!("http://{}", gateway.address);
    let mut client = TargetServiceClient::connect(address).await.unwrap();
    let list = soon(client.list_targets(ListTargetsRequest::default())).await;
    let first = list.unwrap().into_inner().config.unwrap();
    assert_eq!(first.generation, 1);
    let sections = alias("two", MODEL);
    gateway.becomes(&sections, RELOADED).await;
    let request = GetTargetRequest {
        target: "two".to_owned(),
    };
    let answer = soon(client.get_target(request)).await.unwrap();
    let second = answer.into_inner().config.unwrap();
    assert_eq!(second.generation, 2);
    assert_eq!(second.sha256, hex_sha256(&format!("{HEAD}{sections}")));
    let at = |version: &bedrock_grpc::pb::ConfigVersion| {
        let time = version.loaded_at.unwrap();
        (time.seconds, time.nanos)
    };
    assert!(at(&second) > at(&first), "{first:?} {second:?}");

    let url = format!("http://{}", gateway.address);
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_bedrock-grpc"))
        .args(["targets", "--address", &url])
        .env_clear()
        .output();
    let text = String::from_utf8(soon(output).await.unwrap().stdout).unwrap();
    let expected = "Configuration: generation 2, loaded at ";
    assert!(
        text.contains(expected) && text.contains(&second.sha256),
        "{text}"
    );
}
