//! Real traffic with Bedrock, through emulator, AWS SDK, gateway and client.

mod case;
mod documents;
mod reading;

use bedrock_emulator::{Call, Cut, Options, Replay};
use bedrock_grpc::{
    config::Config,
    pb::{InvokeRequest, StreamInvokeRequest},
    translate,
};
use bytes::Bytes;
use serde_json::{Value, value::RawValue};
use tonic::Code;

use self::{
    case::{Case, Cases},
    reading::by_value,
};
use crate::harness::{Answer, Ended, Gateway, Process, alias, cuts};

impl Cases {
    /// A gateway on an emulator that replays recordings.
    async fn replayed(&self, cut: Cut) -> Gateway {
        let replay = Replay::load(&self.folder).unwrap();
        Gateway::with(|config: &mut Config, options: &mut Options| {
            (options.replay, options.cut) = (Some(replay), cut);
            // A model ID without `.` and `:` looks like an alias, so the configuration makes it
            // one.
            for model_id in self.cases.iter().map(|case| &case.model_id) {
                if !model_id.contains(['.', ':']) {
                    let aliases = &mut config.targets.aliases;
                    aliases.insert(model_id.clone(), alias(model_id));
                }
            }
        })
        .await
    }
}

impl Case {
    fn stream_request(&self) -> StreamInvokeRequest {
        StreamInvokeRequest {
            target: self.model_id.clone(),
            input: Some(translate::request::from_converse(self.body.get().as_bytes()).unwrap()),
            ..StreamInvokeRequest::default()
        }
    }

    fn invoke_request(&self) -> InvokeRequest {
        let request = self.stream_request();
        InvokeRequest {
            target: request.target,
            input: request.input,
        }
    }
}

/// All streams as messages, with their bytes split in this way.
async fn streams_are_translated_as_expected(cut: Cut) {
    let recorded = case::load("stream");
    let gateway = recorded.replayed(cut).await;
    for case in &recorded.cases {
        let answer = gateway.stream(case.stream_request()).await;
        if case.expected["errors"] != Value::Array(Vec::new()) {
            assert_ne!(answer.code(), Code::Ok, "{}", case.name);
            continue;
        }
        answer.is_whole();
        assert_eq!(
            by_value(reading::of_stream(&answer.messages)),
            by_value(reading::answer_of(&case.expected)),
            "{} ({cut:?})",
            case.name
        );
    }
}

#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn streams_are_translated_as_expected_in_whole_frames() {
    streams_are_translated_as_expected(cuts()[0]).await;
}

#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn streams_are_translated_as_expected_in_awkward_chunks() {
    streams_are_translated_as_expected(cuts()[1]).await;
}

#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn streams_are_translated_as_expected_byte_by_byte() {
    streams_are_translated_as_expected(cuts()[2]).await;
}

#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn streams_are_printed_by_invoke_as_expected() {
    let recorded = case::load("stream");
    let gateway = recorded.replayed(Cut::Frames).await;
    let mut client = gateway.inference();
    for case in &recorded.cases {
        let response = client.invoke(case.invoke_request()).await;
        if case.expected["errors"] != Value::Array(Vec::new()) {
            assert!(response.is_err(), "{}", case.name);
            continue;
        }
        assert_eq!(
            by_value(reading::of_invoke(response.unwrap().get_ref())),
            by_value(reading::without_indices(&reading::answer_of(
                &case.expected
            ))),
            "{}",
            case.name
        );
    }
}

/// Code and reason of a Bedrock error, from the table of errors and not from the implementation.
fn meaning(exception: &str, message: &str) -> (Code, &'static str) {
    let says = |words: &str| message.contains(words);
    match exception {
        "ValidationException" if says("on-demand throughput") => {
            (Code::FailedPrecondition, "INFERENCE_PROFILE_REQUIRED")
        }
        "ValidationException" if says("too long") => (Code::InvalidArgument, "CONTEXT_TOO_LONG"),
        "ValidationException" => (Code::InvalidArgument, "UPSTREAM_VALIDATION"),
        "AccessDeniedException" => (Code::PermissionDenied, "UPSTREAM_ACCESS_DENIED"),
        "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidSignatureException" => {
            (Code::Internal, "UPSTREAM_CREDENTIALS")
        }
        "ResourceNotFoundException" => (Code::NotFound, "UPSTREAM_RESOURCE"),
        "ThrottlingException" if says("per day") => (Code::ResourceExhausted, "UPSTREAM_QUOTA"),
        "ThrottlingException" => (Code::ResourceExhausted, "UPSTREAM_THROTTLED"),
        "ModelNotReadyException" => (Code::Unavailable, "MODEL_NOT_READY"),
        "ServiceUnavailableException" => (Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
        "InternalServerException" => (Code::Internal, "UPSTREAM_INTERNAL"),
        "ModelTimeoutException" => (Code::DeadlineExceeded, "MODEL_TIMEOUT"),
        other => panic!("a recording with {other}: say here what it means"),
    }
}

fn is_refused(case: &Case, answer: &Answer) {
    let text = |name: &str| case.expected[name].as_str().unwrap_or_default();
    let (exception, message) = (text("type"), text("message"));
    let (code, reason) = meaning(exception, message);
    assert!(answer.trailers_only, "{}", case.name);
    assert_eq!(answer.code(), code, "{}", case.name);
    let details = answer.details();
    assert_eq!(details.reason(), reason, "{}", case.name);
    let upstream = details.upstream().unwrap();
    assert_eq!(upstream.exception, exception, "{}", case.name);
    assert_eq!(
        case.expected["http_error"], upstream.http_status,
        "{}",
        case.name
    );
    // AWS's messages about credentials quote them, so the gateway does not forward them.
    let shown = if reason == "UPSTREAM_CREDENTIALS" {
        ""
    } else {
        message
    };
    assert_eq!(upstream.message, shown, "{}", case.name);
    assert_eq!(
        details.help().is_some(),
        reason == "INFERENCE_PROFILE_REQUIRED"
    );
    assert_eq!(details.resource().is_some(), reason == "UPSTREAM_RESOURCE");
}

#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn errors_have_their_status_and_reason() {
    let recorded = case::load("error");
    let gateway = recorded.replayed(Cut::Frames).await;
    for case in &recorded.cases {
        let answer = gateway.stream(case.stream_request()).await;
        is_refused(case, &answer);
    }
}

/// How a command ended for a case, and the body that reached Bedrock.
struct Sent {
    ended: Ended,
    body: Bytes,
}

/// Sends every request with the real command line. It goes in rounds, so that recordings of the
/// same request keep their order.
async fn sent(gateway: &Gateway, recorded: &Cases, arguments: &[&str]) -> Vec<Sent> {
    let address = format!("http://{}", gateway.address);
    let mut round = Vec::new();
    for case in &recorded.cases {
        gateway.emulator.clear_calls();
        let file = case.request_file.to_str().unwrap();
        let process = Process::start(
            ["invoke", "--converse", file].iter().chain(arguments),
            [("BEDROCK_GRPC_ADDRESS", address.as_str())],
        );
        let ended = process.end().await;
        let calls = gateway.emulator.calls();
        let [call] = calls.as_slice() else {
            panic!("{}: {} calls; {ended:?}", case.name, calls.len());
        };
        arrived_as_written(case, call);
        let body = call.body.clone();
        round.push(Sent { ended, body });
    }
    round
}

fn arrived_as_written(case: &Case, call: &Call) {
    let arrived: Box<RawValue> = serde_json::from_slice(&call.body).unwrap();
    let value = |raw: &RawValue| by_value(serde_json::from_str(raw.get()).unwrap());
    let name = &case.name;
    assert_eq!(call.model_id, case.model_id, "{name}");
    assert_eq!(value(&arrived), value(&case.body), "{name}");
    assert_eq!(documents::of(&arrived), documents::of(&case.body), "{name}");
}

/// The complete answer that the command printed, in the form of `expected.json`.
fn printed(case: &Case, ended: &Ended) -> Value {
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{}",
        case.name
    );
    by_value(reading::of_converse(
        serde_json::from_str(&ended.stdout).unwrap(),
    ))
}

/// The expected answer, in the same form.
fn expected(case: &Case, kind: &str) -> Value {
    if kind == "json" {
        return by_value(without_empty_text(reading::of_converse(
            serde_json::from_slice(&case.response).unwrap(),
        )));
    }
    let expected = reading::without_indices(&reading::answer_of(&case.expected));
    by_value(reading::without_input_text(expected))
}

/// `Invoke` leaves out empty text blocks, because Bedrock refuses them in the next request.
fn without_empty_text(mut answer: Value) -> Value {
    if let Some(content) = answer.get_mut("content").and_then(Value::as_array_mut) {
        content.retain(|block| block.get("text").is_none_or(|text| text != ""));
    }
    answer
}

/// All requests of a kind arrive as recorded, identical both times, and the command prints the
/// expected answers.
async fn requests_arrive_as_recorded(kind: &str) {
    let recorded = case::load(kind);
    let gateway = recorded.replayed(Cut::Frames).await;
    let once = sent(&gateway, &recorded, &[]).await;
    let twice = sent(&gateway, &recorded, &[]).await;
    let events = sent(&gateway, &recorded, &["--events"]).await;
    for (index, case) in recorded.cases.iter().enumerate() {
        let sent = [&once[index], &twice[index], &events[index]];
        assert_eq!(sent[0].body, sent[1].body, "{}", case.name);
        assert_eq!(sent[0].body, sent[2].body, "{}", case.name);
        if kind == "error" {
            let codes = sent.map(|sent| sent.ended.code);
            assert!(codes.iter().all(|code| *code != Some(0)), "{}", case.name);
            continue;
        }
        let expected = expected(case, kind);
        assert_eq!(printed(case, &sent[0].ended), expected, "{}", case.name);
        let lines: Vec<Value> = sent[2]
            .ended
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            reading::text_of_lines(&lines),
            reading::text_of(&expected),
            "{}",
            case.name
        );
        assert!(
            lines.last().unwrap().get("metadata").is_some(),
            "{}",
            case.name
        );
    }
}

#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn requests_of_streams_arrive_as_recorded() {
    requests_arrive_as_recorded("stream").await;
}

/// Converse's answers arrive as streams here. A stream cannot express where one citation's text
/// ends and the next begins.
#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn unary_requests_arrive_as_recorded() {
    requests_arrive_as_recorded("json").await;
}

#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn requests_that_were_refused_arrive_as_recorded() {
    requests_arrive_as_recorded("error").await;
}
