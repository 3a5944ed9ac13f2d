//! What is asked and answered is in no span and no log line.

use std::io::Write;

use bedrock_grpc::{
    emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options},
    pb::{
        StreamInvokeRequest, SystemContentBlock, inference_service_client::InferenceServiceClient,
        system_content_block,
    },
};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::request;
use crate::harness::{Collector, MODEL, Process, Stream, question};

const MARKER: &str = "XYZZYPLUGH";
/// Events hold pieces of it.
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

/// As much is logged as the gateway can.
#[tokio::test]
async fn prompts_and_completions_are_in_no_span_and_no_log_line() {
    let collector = Collector::start().await;
    let emulator = Emulator::start(Options::default()).unwrap();
    let mut file = NamedTempFile::new().unwrap();
    write!(
        file,
        "listen: 127.0.0.1:0\nadmin: {{listen: '127.0.0.1:0'}}\nworkers: 1\nallowed_model_ids: ['*']\ndrain: {{lame_duck: 0}}\n\
         log: {{level: 'info,bedrock_grpc=trace'}}\ntraces: {{otlp_endpoint: '{}'}}\n",
        collector.endpoint()
    )
    .unwrap();
    let endpoint = emulator.endpoint_url();
    let mut process = Process::start(
        ["serve", "--config", file.path().to_str().unwrap()],
        [
            ("AWS_REGION", "us-east-1"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", DEV_ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", DEV_SECRET_ACCESS_KEY),
        ],
    );
    let serving: Value = serde_json::from_str(&process.logged("serving").await).unwrap();
    let address = format!("http://{}", serving["address"].as_str().unwrap());
    let mut client = InferenceServiceClient::connect(address).await.unwrap();

    let asked = request("whole", "", asking(MODEL));
    let answer = Stream::open(&mut client, asked).await.end().await;
    answer.is_whole();
    assert!(answer.text().contains(MARKER), "{}", answer.text());
    // Failures quote what Bedrock said, and that may quote what it was asked.
    let faults = [
        "validation",
        "throttling",
        "stream-validation-after-2",
        "stream-internal-after-2",
        "bad-crc-after-2",
    ];
    for fault in faults {
        let asked = request(fault, "", asking(&format!("{MODEL}.fault-{fault}")));
        let answer = Stream::open(&mut client, asked).await.end().await;
        assert!(answer.end.is_err(), "{fault}");
    }
    let mut spans = Vec::new();
    for id in faults.into_iter().chain(["whole"]) {
        spans.push(collector.call(id).await);
    }
    process.terminate().await;
    let ended = process.end().await;
    assert_eq!(ended.stderr.matches("call ended").count(), spans.len());
    assert!(!ended.stderr.contains(PIECE), "{}", ended.stderr);
    let spans = format!("{spans:?}");
    assert!(!spans.contains(PIECE), "{spans}");
}
