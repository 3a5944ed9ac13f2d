//! The real binary, as an operator and a newcomer start it.

use std::time::Duration;

use bedrock_emulator::{DEV_BEARER_TOKEN, Emulator, Options};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};
use tonic::Code;

use crate::harness::{MODEL, Process, Serve, ask, file, paced, soon};

const TARGETS: &str = "
targets:
  nova: {model_id: 'amazon.nova-lite-v1:0'}
  stalled: {model_id: 'amazon.nova-lite-v1:0.fault-stall-after-2'}
";

#[tokio::test]
async fn it_finds_keys_region_and_endpoint_where_every_sdk_does() {
    let emulator = Emulator::start(Options::default()).unwrap();
    let serve = Serve::with_keys(&emulator, TARGETS, &[]).await;
    serve.open(ask("nova")).await.end().await.is_whole();
    let calls = emulator.calls();
    assert_eq!(
        (calls[0].model_id.as_str(), calls[0].region.as_str()),
        (MODEL, "us-east-1")
    );
    serve.process.terminate().await;
    let ended = serve.process.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // One line for the call, without any of its content.
    let line = ended
        .stderr
        .lines()
        .find(|line| line.contains("call ended"))
        .unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["code"], "OK");
    assert_eq!(line["bedrock_request_id"], calls[0].request_id);
    assert!(!ended.stderr.contains("sky"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_bearer_token_wins_over_keys() {
    let mut options = Options::default();
    options.credentials.access_keys.clear();
    let emulator = Emulator::start(options).unwrap();
    let variables = [
        ("AWS_BEARER_TOKEN_BEDROCK", DEV_BEARER_TOKEN),
        ("AWS_ACCESS_KEY_ID", "unknown"),
        ("AWS_SECRET_ACCESS_KEY", "unknown"),
    ];
    let serve = Serve::start(&emulator, TARGETS, &variables).await;
    serve.open(ask("nova")).await.end().await.is_whole();
}

#[tokio::test]
async fn without_credentials_calls_fail_with_their_own_reason() {
    let emulator = Emulator::start(Options::default()).unwrap();
    let serve = Serve::start(&emulator, TARGETS, &[]).await;
    let answer = serve.open(ask("nova")).await.end().await;
    assert_eq!(answer.code(), Code::Internal);
    assert_eq!(answer.details().reason(), "UPSTREAM_CREDENTIALS");
    assert_eq!(emulator.calls(), []);
}

#[tokio::test]
async fn sigterm_lets_open_streams_end_and_exits_with_0() {
    let emulator = Emulator::start(Options {
        pace: paced(Duration::from_millis(20), 30),
        ..Options::default()
    })
    .unwrap();
    let mut serve = Serve::with_keys(&emulator, TARGETS, &[]).await;
    let mut stream = serve.open(ask("nova")).await;
    stream.tokens(2).await;
    serve.process.terminate().await;
    serve.process.logged("draining").await;
    let answer = stream.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), 30);
    let ended = serve.process.end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn a_second_sigterm_does_not_wait() {
    let emulator = Emulator::start(Options::default()).unwrap();
    let mut serve = Serve::with_keys(&emulator, TARGETS, &[]).await;
    let mut stream = serve.open(ask("stalled")).await;
    stream.tokens(2).await;
    serve.process.terminate().await;
    serve.process.logged("draining").await;
    serve.process.terminate().await;
    // The call ends early, with a status.
    let answer = stream.end().await;
    assert_eq!(answer.code(), Code::Unavailable);
    assert_eq!(answer.details().reason(), "DRAINING");
    assert_eq!(serve.process.end().await.code, Some(0));
}

#[tokio::test]
async fn all_errors_of_a_config_are_reported_with_position_key_and_correction() {
    let config = file(
        "listen: nowhere
targts: {}
targets:
  good: {model_id: a.b}
  bad.name:
    model_id: a.b
    region: mars
  empty: {}
limits:
  idle: 5
  max_streams: many
",
    );
    let path = config.path().to_str().unwrap();
    for command in [&["check", path][..], &["serve", "--config", path]] {
        let ended = Process::start(command, []).end().await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
        assert_eq!(ended.stdout, "");
        for part in [
            "1:9: listen: `nowhere` is not an address",
            "2:1: targts: ",
            "5:3: targets.bad.name: an alias must have",
            "7:13: targets.bad.name.region: `mars` is not an AWS Region",
            "targets.empty.model_id: required",
            "10:9: limits.idle: `5` is not a duration",
            "11:16: limits.max_streams: `many` is not a whole number",
        ] {
            let shown = part.starts_with(|c: char| c.is_ascii_digit());
            let expected = if shown {
                format!("{path}:{part}")
            } else {
                part.to_owned()
            };
            assert!(
                ended.stderr.contains(&expected),
                "no {expected} in:\n{}",
                ended.stderr
            );
        }
    }
    let good = file(TARGETS);
    let ended = Process::start(["check", good.path().to_str().unwrap()], [])
        .end()
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn dev_prints_commands_that_work() {
    let mut dev = Process::start(
        [
            "dev",
            "--listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
            "--emulator-listen=127.0.0.1:0",
            "--time-to-first-token=0",
            "--tokens-per-second=10000",
        ],
        [],
    );
    let metrics = dev.printed("/metrics").await;
    let chat = dev.printed(" chat ").await;
    let grpcurl = dev.printed("grpcurl ").await;
    let ended = soon(Command::new("sh").env_clear().args(["-c", &chat]).output())
        .await
        .unwrap();
    assert!(ended.status.success(), "{chat}\n{ended:?}");
    assert!(!ended.stdout.is_empty());
    assert_embeds(&chat).await;

    let page = metrics
        .split_whitespace()
        .find(|word| word.ends_with("/metrics"))
        .unwrap();
    let admin = page
        .trim_start_matches("http://")
        .trim_end_matches("/metrics");
    let (status, text) = crate::harness::get(admin.parse().unwrap(), "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains(r#"code="OK""#), "{text}");

    // grpcurl reads the request as protobuf JSON, and finds the method by reflection.
    let request = grpcurl.split('\'').nth(1).unwrap();
    let request: Value = serde_json::from_str(request).unwrap();
    assert_eq!(request["target"], "claude");
    assert_eq!(request["input"]["messages"][0]["role"], "ROLE_USER");
    assert!(
        grpcurl.ends_with(" bedrock.inference.v1.InferenceService/StreamInvoke"),
        "{grpcurl}"
    );

    dev.terminate().await;
    assert_eq!(dev.end().await.code, Some(0));
}

/// Runs `invoke-model` for the target `embed`, with the address and key of the command that `dev`
/// printed for `chat`, and checks that the answer is an embedding.
pub(crate) async fn assert_embeds(chat: &str) {
    let (connect, _) = chat.split_once(" --target ").unwrap();
    let call = connect.replace(" chat", " invoke-model");
    let line = format!(
        r#"echo '{{"inputText":"a lighthouse","dimensions":256}}' | {call} --target embed --body -"#
    );
    let ended = soon(Command::new("sh").env_clear().args(["-c", &line]).output())
        .await
        .unwrap();
    assert!(ended.status.success(), "{line}\n{ended:?}");
    let answer: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(answer["embedding"].as_array().unwrap().len(), 256);
}

/// Sends a plain HTTP/1.1 request and returns the status of its response.
async fn status_of(address: &str, path: &str, host: &str) -> u16 {
    let mut tcp = soon(TcpStream::connect(address)).await.unwrap();
    let host = match host {
        "" => String::new(),
        host => format!("Host: {host}\r\n"),
    };
    let request =
        format!("GET {path} HTTP/1.1\r\n{host}Accept: text/html\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(tcp.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A web page can let its own name resolve to 127.0.0.1, but its requests still carry that name.
#[tokio::test]
async fn dev_answers_only_to_names_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let announce = folder.path().join("addresses");
    let mut dev = Process::start(
        [
            "dev",
            "--listen=127.0.0.1:0",
            "--admin-listen=127.0.0.1:0",
            "--emulator-listen=127.0.0.1:0",
            &format!("--announce={}", announce.display()),
        ],
        [],
    );
    dev.printed("Ctrl-C").await;
    let announced = || std::fs::read_to_string(&announce).unwrap_or_default();
    soon(async {
        while announced().lines().count() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let announced = announced();
    for (name, path) in [
        ("grpc=", "/"),
        ("admin=", "/metrics"),
        ("emulator=", "/_emulator/calls"),
    ] {
        let address = announced.lines().find_map(|line| line.strip_prefix(name));
        let address = address.unwrap().trim_start_matches("http://");
        let port = address.rsplit(':').next().unwrap();
        for host in [
            "localhost",
            "LOCALHOST.",
            "127.0.0.1",
            "[::1]",
            "a.localhost",
        ] {
            for host in [
                host.to_owned(),
                format!("{host}:{port}"),
                format!("{host}:1"),
            ] {
                assert_eq!(status_of(address, path, &host).await, 200, "{name} {host}");
            }
        }
        for host in [
            "evil.example",
            &format!("evil.example:{port}"),
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::2]",
            "10.0.0.1",
            "0.0.0.0",
        ] {
            assert_eq!(status_of(address, path, host).await, 421, "{name} {host}");
        }
        let without = status_of(address, path, "").await;
        assert!([400, 421].contains(&without), "{name}: {without}");
    }
}

/// At the start, the log has a warning for each open interface, and no other warning.
#[tokio::test]
async fn serve_warns_of_everything_that_is_open() {
    let emulator = Emulator::start(Options::default()).unwrap();
    let open = "playground: true\ncors: {allowed_origins: ['*']}";
    let serve = Serve::with_keys(&emulator, open, &[]).await;
    let log = serve.process.log();
    let warnings: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["level"] == "WARN")
        .collect();
    let keys: Vec<_> = warnings
        .iter()
        .filter_map(|line| line["key"].as_str())
        .collect();
    // The test's gateway listens on this machine only.
    assert_eq!(
        keys,
        ["callers", "cors.allowed_origins", "allowed_model_ids"],
        "{log}"
    );
}
