//! No span and no log line contains prompts or completions.

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::pb::{StreamInvokeRequest, SystemContentBlock, system_content_block};
use tonic::IntoRequest;

use super::request;
use crate::harness::{Collector, MODEL, Serve, file, question};

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
        ..StreamInvokeRequest::default()
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

/// Credentials for AWS and proxies are in no log line at any level, nor is the output of a
/// credential process.
#[tokio::test]
async fn secrets_are_in_no_log_line_at_the_most_verbose_level() {
    let mut options = Options::default();
    options.credentials.checked = false;
    let emulator = Emulator::start(options).unwrap();
    let endpoint = emulator.endpoint_url();
    let process = file(
        "[default]\ncredential_process = sh -c 'echo CANARY-OUTPUT; echo CANARY-ERRORS >&2; exit 1'\n",
    );
    let shared = process.path().to_str().unwrap().to_owned();
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIACANARY"),
        ("AWS_SECRET_ACCESS_KEY", "CANARY-SECRET"),
        ("AWS_SESSION_TOKEN", "CANARY-TOKEN"),
    ];
    let sources: [&[(&str, &str)]; 3] = [
        &keys,
        &[("AWS_BEARER_TOKEN_BEDROCK", "CANARY-BEARER")],
        &[("AWS_CONFIG_FILE", &shared), ("PATH", "/usr/bin:/bin")],
    ];
    for source in sources {
        let proxies = [
            ("HTTPS_PROXY", "http://user:CANARY-PROXY@127.0.0.1:9"),
            ("AWS_ENDPOINT_URL_BEDROCK", endpoint.as_str()),
        ];
        let variables = [source, &proxies].concat();
        let serve = Serve::start(&emulator, "log: {level: trace}", &variables).await;
        let mut asked = asking(MODEL).into_request();
        asked
            .metadata_mut()
            .insert("authorization", "Bearer CANARY-CALLER".parse().unwrap());
        let _answered_or_not = serve.open(asked).await.end().await;
        serve.process.terminate().await;
        let ended = serve.process.end().await;
        // It is verbose: connections are logged.
        assert!(ended.stderr.contains("DEBUG"), "{}", ended.stderr);
        for line in ended.stderr.lines() {
            assert!(!line.contains("CANARY"), "{line}");
        }
    }
}
