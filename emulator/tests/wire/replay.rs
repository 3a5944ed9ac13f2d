//! Recorded exchanges: the answer is the recorded one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aws_smithy_eventstream::frame::read_message_from;
use bedrock_emulator::{Cut, Emulator, Options, Replay};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::support::{http1, start};

/// The variable that names a folder of recorded exchanges to replay as well.
const RECORDED: &str = "BEDROCK_GRPC_RECORDED";

fn write_case(folder: &Path, name: &str, request: &Value, meta: &Value, response: &[u8]) {
    let case = folder.join(name);
    fs::create_dir_all(&case).expect("a folder");
    fs::write(case.join("request.json"), request.to_string()).expect("written");
    fs::write(case.join("meta.json"), meta.to_string()).expect("written");
    fs::write(case.join("response.body"), response).expect("written");
}

fn body(text: &str) -> Value {
    json!({"messages": [{"role": "user", "content": [{"text": text}]}]})
}

async fn post(
    emulator: &Emulator,
    model_id: &str,
    operation: &str,
    body: &Value,
) -> (u16, Option<String>, Bytes) {
    let model_id = model_id.replace(':', "%3A").replace('/', "%2F");
    let request = Request::post(format!("/model/{model_id}/{operation}"))
        .header("host", "localhost")
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("a request");
    let answer = http1(emulator, request).await;
    let status = answer.status().as_u16();
    let error = answer
        .headers()
        .get("x-amzn-errortype")
        .map(|value| value.to_str().expect("text").to_owned());
    (
        status,
        error,
        answer
            .into_body()
            .collect()
            .await
            .expect("a body")
            .to_bytes(),
    )
}

fn replaying(folder: &Path, cut: Cut) -> Emulator {
    let mut options = Options {
        replay: Some(Replay::load(folder).expect("recordings")),
        cut,
        ..Options::default()
    };
    options.credentials.checked = false;
    start(options)
}

#[tokio::test]
async fn own_recordings_are_served_in_turn_and_in_both_shapes() {
    let folder = tempfile::tempdir().expect("a folder");
    let request = json!({"modelId": "any.model", "body": body("hello")});
    for (name, text) in [("a", "first"), ("b", "second")] {
        let answer = json!({
            "output": {"message": {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "why", "signature": "sig"}}},
                {"text": text},
                {"toolUse": {"toolUseId": "t", "name": "n", "input": {"x": 1}}},
            ]}},
            "stopReason": "tool_use",
            "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
            "metrics": {"latencyMs": 7},
        });
        let meta = json!({"operation": "converse", "status": 200, "error_type": null});
        write_case(
            folder.path(),
            name,
            &request,
            &meta,
            answer.to_string().as_bytes(),
        );
    }
    let emulator = replaying(folder.path(), Cut::Frames);
    let mut served = Vec::new();
    for _ in 0..3 {
        let (status, _, bytes) = post(&emulator, "any.model", "converse", &body("hello")).await;
        assert_eq!(status, 200);
        let answer: Value = serde_json::from_slice(&bytes).expect("JSON");
        served.push(answer["output"]["message"]["content"][1]["text"].clone());
    }
    assert_eq!(served, ["first", "second", "first"]);

    let (_, _, stream) = post(&emulator, "any.model", "converse-stream", &body("hello")).await;
    let recorded = folder.path().join("streams");
    let meta = json!({"operation": "converse-stream", "status": 200, "error_type": null});
    write_case(&recorded, "c", &request, &meta, &stream);
    let emulator = replaying(&recorded, Cut::Awkward);
    let (_, _, folded) = post(&emulator, "any.model", "converse", &body("hello")).await;
    let folded: Value = serde_json::from_slice(&folded).expect("JSON");
    let source = fs::read(folder.path().join("b/response.body")).expect("a file");
    let source: Value = serde_json::from_slice(&source).expect("JSON");
    assert_eq!(folded, source, "unfolded to a stream and folded again");
}

#[tokio::test]
async fn no_match_says_what_is_nearest() {
    let folder = tempfile::tempdir().expect("a folder");
    let request = json!({"modelId": "any.model", "body": body("hello")});
    let meta =
        json!({"operation": "converse", "status": 404, "error_type": "ResourceNotFoundException"});
    write_case(
        folder.path(),
        "only-one",
        &request,
        &meta,
        br#"{"message":"gone"}"#,
    );
    let emulator = replaying(folder.path(), Cut::Frames);
    let recorded = post(&emulator, "any.model", "converse-stream", &body("hello")).await;
    assert_eq!(
        recorded,
        (
            404,
            Some("ResourceNotFoundException".to_owned()),
            Bytes::from(r#"{"message":"gone"}"#)
        )
    );
    for (model, text, told) in [
        ("any.model", "hallo", "messages[0].content[0].text"),
        ("other.model", "hello", "\\\"any.model\\\""),
    ] {
        let (status, error, bytes) = post(&emulator, model, "converse", &body(text)).await;
        assert_eq!(status, 400);
        assert!(error.is_some_and(|error| error.starts_with("ValidationException")));
        let message = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            message.contains("only-one") && message.contains(told),
            "{message}"
        );
    }
}

#[test]
fn a_folder_without_recordings_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Replay::load(folder.path())
        .expect_err("nothing in it")
        .to_string();
    assert!(
        error.contains(&folder.path().display().to_string()),
        "{error}"
    );
    write_case(folder.path(), "bad", &json!({"body": {}}), &json!({}), b"");
    let error = Replay::load(folder.path())
        .expect_err("no model ID")
        .to_string();
    assert!(
        error.contains("request.json") && error.contains("modelId"),
        "{error}"
    );
}

#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn all_recorded_exchanges_come_back_as_they_were() {
    let folder = PathBuf::from(std::env::var_os(RECORDED).expect("the variable is set"));
    for cut in [Cut::Frames, Cut::Awkward] {
        let mut left = cases(&folder);
        let emulator = replaying(&folder, cut);
        let total = left.len();
        assert!(total > 0);
        // Recordings of one request are used in turn: each request is sent as often as it was
        // recorded.
        for (model_id, operation, request, ..) in left.clone() {
            let answer = post(&emulator, &model_id, &operation, &request).await;
            let same = left.iter().position(|case| {
                (&case.0, &case.1, &case.2) == (&model_id, &operation, &request) && case.3 == answer
            });
            left.swap_remove(
                same.unwrap_or_else(|| panic!("{model_id}: not a recorded answer: {answer:?}")),
            );
        }
        assert!(left.is_empty());
        println!("{total} recorded exchanges came back ({cut:?})");
    }
}

#[tokio::test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
async fn all_recorded_answers_of_converse_stream_too() {
    let folder = PathBuf::from(std::env::var_os(RECORDED).expect("the variable is set"));
    let emulator = replaying(&folder, Cut::Frames);
    let mut streamed = 0;
    let all = cases(&folder);
    let is_streamed = |model: &str, request: &Value| {
        let mut streams = all.iter().filter(|case| case.1 == "converse-stream");
        streams.any(|case| case.0 == model && &case.2 == request)
    };
    for (model_id, operation, request, (status, _, _)) in &all {
        if *status != 200 || operation != "converse" || is_streamed(model_id, request) {
            continue;
        }
        let (_, _, stream) = post(&emulator, model_id, "converse-stream", request).await;
        let mut events = Vec::new();
        let mut rest = &stream[..];
        while !rest.is_empty() {
            let message = read_message_from(&mut rest).expect("a frame");
            let payload: Value = serde_json::from_slice(message.payload()).expect("JSON");
            let header = message
                .headers()
                .iter()
                .find(|header| header.name().as_str() == ":event-type");
            let name = header
                .and_then(|header| header.value().as_string().ok())
                .expect("a type");
            events.push((name.as_str().to_owned(), payload));
        }
        let recorded = all
            .iter()
            .filter(|case| (&case.0, &case.1, &case.2) == (model_id, operation, request));
        let same = |case: &Recorded| {
            let answer: Value = serde_json::from_slice(&case.3.2).expect("JSON");
            let blocks = answer["output"]["message"]["content"]
                .as_array()
                .map_or(0, Vec::len);
            let stops = events
                .iter()
                .filter(|(name, _)| name == "contentBlockStop")
                .count();
            events
                .first()
                .is_some_and(|(name, _)| name == "messageStart")
                && blocks == stops
                && events.iter().any(|(name, stop)| {
                    name == "messageStop" && stop["stopReason"] == answer["stopReason"]
                })
                && events.last().is_some_and(|(name, end)| {
                    name == "metadata" && end["usage"] == answer["usage"]
                })
        };
        assert!(recorded.into_iter().any(same), "{model_id}: {events:?}");
        streamed += 1;
    }
    assert!(streamed > 0);
    println!("{streamed} recorded answers of Converse came as streams");
}

type Recorded = (String, String, Value, (u16, Option<String>, Bytes));

fn cases(folder: &Path) -> Vec<Recorded> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.join("request.json").is_file() {
            let json = |name: &str| -> Value {
                serde_json::from_slice(&fs::read(path.join(name)).expect("a file")).expect("JSON")
            };
            let (request, meta) = (json("request.json"), json("meta.json"));
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let status = meta["status"]
                .as_u64()
                .and_then(|n| u16::try_from(n).ok())
                .expect("a status");
            let response = fs::read(path.join("response.body")).expect("a file").into();
            found.push((
                text(&request["modelId"]).expect("a model"),
                text(&meta["operation"]).expect("an operation"),
                request["body"].clone(),
                (status, text(&meta["error_type"]), response),
            ));
        } else if path.is_dir() {
            found.extend(cases(&path));
        }
    }
    found
}
