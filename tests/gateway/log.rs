//! The log: its format for programs, and the gateway's behaviour if its reader stops.

use std::net::TcpListener;

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::pb::inference_service_client::InferenceServiceClient;
use futures_util::{StreamExt, stream};

use crate::harness::{
    MODEL, Process, Serve, Stream, ask, file, get, key_of, keyed, sha256_of, soon,
};

const CALLS: usize = 4_000;
const DROPPED: &str = "bedrock_grpc_log_lines_dropped_total ";

/// The log and the usage records fill their pipes, and the log overflows its queue, too. A thread
/// that waited for one of the pipes would serve no more calls.
#[tokio::test]
async fn calls_do_not_wait_for_readers_of_the_log_and_of_usage_records() {
    let emulator = Emulator::start(Options::default()).unwrap();
    let key = key_of();
    let hash = sha256_of(&key);
    let sections = format!(
        "usage_records: {{file: stdout}}\ncallers: {{team-a: {{keys: [{{sha256: '{hash}'}}]}}}}\nlog: {{level: debug}}"
    );
    // From the line `serving` on, the test reads nothing until the process has ended.
    let serve = Serve::with_keys(&emulator, &sections, &[]).await;
    let address = format!("http://{}", serve.address());
    let client = InferenceServiceClient::connect(address).await.unwrap();
    let answers = stream::iter(0..CALLS).map(|_| {
        let (mut client, request) = (client.clone(), keyed(ask(MODEL), &key));
        async move { Stream::open(&mut client, request).await.end().await }
    });
    let mut answers = answers.buffer_unordered(32);
    let mut count = 0;
    while let Some(answer) = soon(answers.next()).await {
        answer.is_whole();
        count += 1;
    }
    assert_eq!(count, CALLS);

    let (_, metrics) = get(serve.admin, "/metrics").await;
    let dropped = metrics.lines().find_map(|line| line.strip_prefix(DROPPED));
    let dropped: u64 = dropped.unwrap().parse().unwrap();
    assert!(dropped > 0, "the queue never overflowed");

    // The end does not wait for the readers, either.
    serve.process.terminate().await;
    let ended = serve.process.end_unread().await;
    assert_eq!(ended.code, Some(0));
    // The pipes contain whole lines, apart from the last one.
    for (name, text) in [("log", &ended.stderr), ("records", &ended.stdout)] {
        let (lines, _) = text.rsplit_once('\n').unwrap();
        for line in lines.lines() {
            serde_json::from_str::<serde_json::Value>(line)
                .unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
        }
    }
}

/// The lines before an error that ends the process are written, and the error is the last line.
#[tokio::test]
async fn an_error_that_ends_the_process_is_the_last_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = file(&format!(
        "listen: {address}\nadmin: {{listen: '127.0.0.1:0'}}"
    ));
    let path = config.path().to_str().unwrap();
    let environment = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let ended = Process::start(["serve", "--config", path], environment)
        .end()
        .await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<_> = ended.stderr.lines().collect();
    let (last, before) = lines.split_last().unwrap();
    assert!(
        last.starts_with(&format!("error: cannot listen on {address}: ")),
        "{ended:?}"
    );
    assert!(!before.is_empty(), "no warnings");
    for line in before {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "WARN");
    }
}
