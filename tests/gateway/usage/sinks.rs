//! Sinks: files that are rotated, full or missing, standard output, and OTLP collectors.

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::config::{Headers, RecordFile};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::recorded;
use crate::harness::{
    Collector, Gateway, MODEL, Serve, access_of, ask, faulty, key_of, keyed, sha256_of, soon,
};

/// A gateway that writes its records to this file.
async fn writing_to(path: &std::path::Path) -> (Gateway, bedrock_grpc::access::key::Secret) {
    let key = key_of();
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &key)]);
        config.usage_records.file = Some(RecordFile::Path(path.to_owned()));
    })
    .await;
    (gateway, key)
}

/// Waits until a metric has this value.
async fn reaches(gateway: &Gateway, sample: &str, value: f64) {
    soon(async {
        while gateway.metric(sample).await < value {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(gateway.metric(sample).await, value, "{sample}");
}

const WRITTEN: &str = r#"bedrock_grpc_usage_records_written_total{sink="file"}"#;
const DROPPED: &str = r#"bedrock_grpc_usage_records_dropped_total{sink="file"}"#;

#[tokio::test]
async fn a_file_that_was_renamed_is_created_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("usage.jsonl");
    let (mut gateway, key) = writing_to(&path).await;
    gateway.stream(keyed(ask(MODEL), &key)).await.is_whole();
    reaches(&gateway, WRITTEN, 1.0).await;
    let rotated = folder.path().join("usage.jsonl.1");
    std::fs::rename(&path, &rotated).unwrap();
    gateway.stream(keyed(ask(MODEL), &key)).await.is_whole();
    gateway.stream(keyed(ask(MODEL), &key)).await.is_whole();
    gateway.stop.drain.cancel();
    gateway.finished().await;
    let lines = |path| std::fs::read_to_string(path).unwrap().lines().count();
    assert_eq!((lines(&rotated), lines(&path)), (1, 2));
}

/// `/dev/full` fails every write like a disk without space.
#[tokio::test]
async fn a_full_disk_costs_no_call_and_the_losses_are_counted() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("usage.jsonl");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let (gateway, key) = writing_to(&path).await;
    for _ in 0..3 {
        gateway.stream(keyed(ask(MODEL), &key)).await.is_whole();
    }
    assert_eq!(gateway.metric(WRITTEN).await, 0.0);
    // When there is space again, nothing was lost.
    std::fs::remove_file(&path).unwrap();
    reaches(&gateway, WRITTEN, 3.0).await;
    assert_eq!(gateway.metric(DROPPED).await, 0.0);
    let text = std::fs::read_to_string(&path).unwrap();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["code"], "OK");
    }
    assert_eq!(text.lines().count(), 3);
}

#[tokio::test]
async fn a_file_that_can_not_be_written_holds_up_neither_calls_nor_the_end() {
    let (mut gateway, key) = writing_to(std::path::Path::new("/no/such/folder/usage")).await;
    for _ in 0..3 {
        gateway.stream(keyed(ask(MODEL), &key)).await.is_whole();
    }
    gateway.stop.drain.cancel();
    gateway.finished().await;
}

#[tokio::test]
async fn records_are_sent_as_otlp_logs() {
    let (collector, key) = (Collector::start().await, key_of());
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &key)]);
        config.usage_records.otlp_endpoint = Some(collector.endpoint());
        let headers = [("x-tenant".to_owned(), "7".to_owned())];
        config.usage_records.headers = Headers(headers.into());
    })
    .await;
    let before = std::time::SystemTime::now();
    gateway.stream(keyed(ask("nova"), &key)).await.is_whole();
    let log = collector.logs(1).await.remove(0);
    assert_eq!(log.event, "bedrock_grpc.usage");
    let began = before.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(u128::from(log.time) >= began.as_nanos(), "{log:?}");
    for (name, expected) in [
        ("enduser.id", "team-a"),
        (
            "rpc.method",
            "bedrock.inference.v1.InferenceService/StreamInvoke",
        ),
        ("rpc.response.status_code", "OK"),
        ("bedrock_grpc.target", "nova"),
        ("gen_ai.request.model", MODEL),
        ("cloud.region", "us-east-1"),
        ("bedrock_grpc.usage.source", "reported"),
    ] {
        let found = log.attributes.get(name).map(String::as_str);
        assert_eq!(found, Some(expected), "{name}");
    }
    assert!(!log.attributes.contains_key("bedrock_grpc.reason"));
    assert_eq!(collector.resource()["service.name"], "bedrock-grpc");
    assert_eq!(collector.metadata().get("x-tenant").unwrap(), "7");

    // While the collector refuses, records wait.
    collector.refuse();
    gateway
        .stream(keyed(faulty("throttling"), &key))
        .await
        .details();
    collector.accept();
    let logs = collector.logs(2).await;
    assert_eq!(
        logs[1].attributes["bedrock_grpc.reason"],
        "UPSTREAM_THROTTLED"
    );
}

/// No collector listens, or it listens and sends nothing.
#[tokio::test]
async fn a_collector_that_is_down_or_silent_holds_nothing_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    for address in [silent.local_addr().unwrap(), closed] {
        let mut test = recorded(|config, _| {
            config.usage_records.otlp_endpoint = Some(format!("http://{address}"));
        })
        .await;
        for _ in 0..10 {
            test.gateway
                .stream(keyed(ask(MODEL), &test.key))
                .await
                .is_whole();
            // The other sink is not affected.
            test.next("OK", "").await;
        }
        test.gateway.stop.drain.cancel();
        test.gateway.finished().await;
    }
}

/// Records are on standard output, the log on standard error, and neither has secrets or content.
#[tokio::test]
async fn records_on_standard_output_are_apart_from_the_log() {
    let emulator = Emulator::start(Options::default()).unwrap();
    let key = key_of();
    let hash = sha256_of(&key);
    let sections = format!(
        "usage_records: {{file: stdout}}\ncallers: {{team-a: {{keys: [{{sha256: '{hash}'}}]}}}}\nlog: {{level: 'info,bedrock_grpc=trace'}}"
    );
    let mut serve = Serve::with_keys(&emulator, &sections, &[]).await;
    let mut request = ask(MODEL);
    let input = request.input.as_mut().unwrap();
    input.messages[0].content = vec![crate::harness::text("Repeat after me: XYZZYPLUGH")];
    let answer = serve.open(keyed(request, &key)).await.end().await;
    answer.is_whole();
    assert!(answer.text().contains("XYZZYPLUGH"));
    let first = serve.process.printed("team-a").await;
    serve
        .open(keyed(faulty("validation"), &key))
        .await
        .end()
        .await;
    serve.process.terminate().await;
    let ended = serve.process.end().await;
    assert_eq!(ended.code, Some(0));
    let lines: Vec<_> = std::iter::once(first.as_str())
        .chain(ended.stdout.lines())
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["caller"], "team-a");
        for secret in [key.reveal(), &hash, "XYZZ"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    assert!(!ended.stderr.contains("delivered_output_tokens"));
    assert!(!ended.stderr.contains(key.reveal()));
}
