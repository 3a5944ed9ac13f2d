//! A status fits into the headers that clients and proxies allow, however long Bedrock's message
//! and the caller's names are.

use std::fs;

use bedrock_emulator::Replay;
use bedrock_grpc::pb::StreamInvokeRequest;
use serde_json::{Value, json};
use tonic::Code;

use crate::harness::{Answer, Frame, Gateway, RawCall, question};

/// The maximum in Bedrock's service model.
const MODEL_ID_CHARS: usize = 2048;
/// The size of headers that grpcio accepts, counted as it counts: plus 32 bytes per header.
const MAX_HEADER_BYTES: usize = 8 << 10;

/// A gateway on a Bedrock that answers the request below with this error.
async fn refusing(model_id: &str, status: u16, error_type: &str, body: &Value) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    let asked = json!({"messages": [{"role": "user", "content": [{"text": "Hello"}]}]});
    for (name, content) in [
        ("request.json", json!({"modelId": model_id, "body": asked})),
        (
            "meta.json",
            json!({"operation": "converse-stream", "status": status, "error_type": error_type}),
        ),
        ("response.body", body.clone()),
    ] {
        fs::write(folder.path().join(name), content.to_string()).unwrap();
    }
    let replay = Replay::load(folder.path()).unwrap();
    Gateway::with(|_, options| options.replay = Some(replay)).await
}

fn hello(model_id: &str) -> StreamInvokeRequest {
    StreamInvokeRequest {
        target: model_id.to_owned(),
        input: Some(question("Hello")),
        ..StreamInvokeRequest::default()
    }
}

async fn refused(model_id: &str, status: u16, error_type: &str, body: &Value) -> Answer {
    let gateway = refusing(model_id, status, error_type, body).await;
    gateway.stream(hello(model_id)).await
}

#[tokio::test]
async fn a_giant_message_is_shortened_and_all_details_are_there() {
    for word in ["long ", "lang… ", "長い", "\n\"\\"] {
        let message = word.repeat(100_000 / word.len());
        let answer = refused(
            "a.b",
            429,
            "ThrottlingException",
            &json!({"message": message}),
        )
        .await;
        assert_eq!(answer.code(), Code::ResourceExhausted);
        let details = answer.details();
        assert_eq!(details.reason(), "UPSTREAM_THROTTLED");
        assert!(
            details.retry().is_some() && details.quota().is_some() && details.request().is_some()
        );
        let upstream = details.upstream().unwrap();
        assert!(upstream.message.ends_with('…'), "{}", upstream.message);
        assert!(message.starts_with(upstream.message.trim_end_matches('…')));
    }
}

#[tokio::test]
async fn a_giant_exception_and_a_giant_model_id_leave_room_for_the_other_details() {
    let model_id = format!("a.{}", "b".repeat(MODEL_ID_CHARS - 2));
    let exception = format!("{}Exception", "Long".repeat(1_250));
    let body = json!({"message": "m".repeat(100_000)});
    let answer = refused(&model_id, 500, &exception, &body).await;
    assert_eq!(answer.code(), Code::Unavailable);
    let details = answer.details();
    assert_eq!(details.reason(), "UPSTREAM_UNKNOWN");
    assert!(details.retry().is_some());
    let upstream = details.upstream().expect("UpstreamError is left out");
    assert_eq!(upstream.http_status, 500);
    assert!(upstream.exception.starts_with("LongLong"));

    let answer = refused(&model_id, 404, "ResourceNotFoundException", &body).await;
    assert_eq!(answer.code(), Code::NotFound);
    let resource = answer
        .details()
        .resource()
        .expect("ResourceInfo is left out");
    assert!(resource.resource_name.starts_with("a.bbb"));
}

#[tokio::test]
async fn many_violations_are_listed_as_far_as_they_fit() {
    let gateway = Gateway::start().await;
    let mut input = question("Hello");
    for index in 0..40 {
        input
            .request_metadata
            .insert(format!("!{index}{}", "k".repeat(1_000)), String::new());
    }
    let request = StreamInvokeRequest {
        target: "nova".to_owned(),
        input: Some(input),
        ..StreamInvokeRequest::default()
    };
    let answer = gateway.stream(request).await;
    assert_eq!(answer.code(), Code::InvalidArgument);
    assert!(!answer.details().fields().is_empty());
    let message = answer.end.unwrap_err().message().to_owned();
    assert!(message.contains("more, see the details"), "{message}");
}

#[tokio::test]
async fn the_largest_status_fits_into_the_headers_that_clients_take() {
    let model_id = format!("a.{}", "b".repeat(MODEL_ID_CHARS - 2));
    // `grpc-message` needs three bytes for each byte that is not printable ASCII.
    let body = json!({"message": "長".repeat(50_000)});
    for (status, exception) in [
        (429, "ThrottlingException"),
        (404, "ResourceNotFoundException"),
    ] {
        let gateway = refusing(&model_id, status, exception, &body).await;
        let frames = RawCall::to(&gateway, &hello(&model_id))
            .await
            .frames()
            .await;
        let [Frame::Headers { headers, end: true }] = frames.as_slice() else {
            panic!("{frames:?}");
        };
        assert!(headers.contains_key("grpc-status-details-bin"));
        let sizes = headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 32);
        let bytes: usize = sizes.sum();
        assert!(bytes <= MAX_HEADER_BYTES, "{bytes} bytes of headers");
    }
}
