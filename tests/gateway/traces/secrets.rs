//! No span and no log line contains prompts or completions.

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::pb::{StreamInvokeRequest, SystemContentBlock, system_content_block};

use super::request;
use crate::harness::{Collector, MODEL, Serve, question};

const MARKER: &str = "XYZZYPLUGH";
/// Events contain pieces of the answer.
const PIECE: &str = "XYZZ";

fn asking(model_id: &str) -> StreamInvokeRequest {
    let mut input = question(&format!("Repeat after me: {MARKER}"));
    input.system = vec![SystemContentBlock {
        content: Some(system_content_block::Content::Text(MARKER.to_owned())),
    }];
    StreamInvokeRequest {
        target: model_id.to_owned(),
        input: Some(input),
        heartbeat_interval: None,
    }
}

/// The gateway logs at its most detailed level.
#[tokio::test]
async fn prompts_and_completions_are_in_no_span_and_no_log_line() {
    let collector = Collector::start().await;
    let emulator = Emulator::start(Options::default()).unwrap();
    let sections = format!(
        "log: {{level: 'info,bedrock_grpc=trace'}}\ntraces: {{otlp_endpoint: '{}'}}",
        collector.endpoint()
    );
    let serve = Serve::with_keys(&emulator, &sections, &[]).await;

    let asked = request("whole", "", asking(MODEL));
    let answer = serve.open(asked).await.end().await;
    answer.is_whole();
    assert!(answer.text().contains(MARKER), "{}", answer.text());
    // Failures quote Bedrock's message, which can quote the prompt.
    let faults = [
        "validation",
        "throttling",
        "stream-validation-after-2",
        "stream-internal-after-2",
        "bad-crc-after-2",
    ];
    for fault in faults {
        let asked = request(fault, "", asking(&format!("{MODEL}.fault-{fault}")));
        let answer = serve.open(asked).await.end().await;
        assert!(answer.end.is_err(), "{fault}");
    }
    let mut spans = Vec::new();
    for id in faults.into_iter().chain(["whole"]) {
        spans.push(collector.call(id).await);
    }
    serve.process.terminate().await;
    let ended = serve.process.end().await;
    assert_eq!(ended.stderr.matches("call ended").count(), spans.len());
    assert!(!ended.stderr.contains(PIECE), "{}", ended.stderr);
    let spans = format!("{spans:?}");
    assert!(!spans.contains(PIECE), "{spans}");
}
