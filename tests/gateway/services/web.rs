//! gRPC-Web over HTTP/1.1, as browsers use it, and which pages may call.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use bedrock_grpc::pb::{
    InvokeResponse, StreamInvokeRequest, StreamInvokeResponse, content_block_delta_event::Delta,
    stream_invoke_response::Event,
};
use bytes::{Buf, Bytes};
use http::{Request, StatusCode};
use http_body_util::Full;
use prost::Message;

use crate::harness::{Gateway, MODEL, STREAM_INVOKE, Web, ask, faulty, invoke, message};

const INVOKE: &str = "/bedrock.inference.v1.InferenceService/Invoke";
const PAGE: &str = "https://chat.example.com";
/// The flag of a frame that contains trailers.
const TRAILERS: u8 = 0x80;

async fn gateway() -> Gateway {
    Gateway::with(|config, _| config.server.cors.allowed_origins = vec![PAGE.to_owned()]).await
}

async fn call(gateway: &Gateway, path: &str, request: &impl Message, text: bool) -> Web {
    let body = message(0, &request.encode_to_vec());
    let (content_type, body) = match text {
        true => (
            "application/grpc-web-text",
            BASE64_STANDARD.encode(body).into(),
        ),
        false => ("application/grpc-web+proto", body),
    };
    let request = Request::post(path)
        .header("host", gateway.address.to_string())
        .header("origin", PAGE)
        .header("content-type", content_type)
        .header("accept", content_type)
        .header("x-grpc-web", "1")
        .body(Full::from(body))
        .unwrap();
    Web::send(gateway.address, request).await
}

/// The messages in a body, and the trailers after them.
fn frames(mut body: Bytes) -> (Vec<Bytes>, String) {
    let (mut messages, mut trailers) = (Vec::new(), String::new());
    while body.has_remaining() {
        let flags = body.get_u8();
        let length = body.get_u32() as usize;
        let frame = body.split_to(length);
        if flags & TRAILERS == 0 {
            assert_eq!(trailers, "", "a message behind the trailers");
            messages.push(frame);
        } else {
            assert_eq!(trailers, "", "trailers twice");
            trailers = String::from_utf8(frame.to_vec()).unwrap();
        }
    }
    (messages, trailers)
}

fn stream(messages: &[Bytes]) -> Vec<StreamInvokeResponse> {
    let decode = |bytes: &Bytes| StreamInvokeResponse::decode(bytes.clone()).unwrap();
    messages.iter().map(decode).collect()
}

/// Decodes base64 pieces, each of which can have its own padding.
fn from_text(body: &[u8]) -> Bytes {
    let quads = body.chunks(4);
    quads
        .flat_map(|quad| BASE64_STANDARD.decode(quad).unwrap())
        .collect()
}

#[tokio::test]
async fn a_stream_is_the_same_in_binary_and_in_text() {
    let gateway = gateway().await;
    let expected: StreamInvokeRequest = ask(MODEL);
    let binary = call(&gateway, STREAM_INVOKE, &expected, false).await;
    assert_eq!(binary.status, StatusCode::OK);
    assert_eq!(binary.header("content-type"), "application/grpc-web+proto");
    let (messages, trailers) = frames(binary.body);
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
    let messages = stream(&messages);
    assert!(matches!(
        messages.last().unwrap().event,
        Some(Event::Metadata(_))
    ));

    let text = call(&gateway, STREAM_INVOKE, &expected, true).await;
    assert!(
        text.header("content-type")
            .starts_with("application/grpc-web-text"),
        "{text:?}"
    );
    let (from_text, trailers) = frames(from_text(&text.body));
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
    // All messages except the start, which contains the call's ID, and the end, which contains
    // times.
    let from_text = stream(&from_text);
    assert_eq!(from_text.len(), messages.len());
    assert_eq!(
        from_text[1..from_text.len() - 1],
        messages[1..messages.len() - 1]
    );
}

/// Returns the texts of the deltas.
fn texts(messages: Vec<StreamInvokeResponse>) -> Vec<String> {
    let texts = messages
        .into_iter()
        .filter_map(|message| match message.event {
            Some(Event::ContentBlockDelta(delta)) => delta.delta,
            _ => None,
        });
    texts
        .map(|delta| match delta {
            Delta::Text(text) => text,
            other => panic!("unexpected {other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn pages_can_join_deltas() {
    let gateway = gateway().await;
    let mut request = ask(MODEL);
    let plain = call(&gateway, STREAM_INVOKE, &request, false).await;
    request.coalesce = Duration::from_secs(1).try_into().ok();
    let joined = call(&gateway, STREAM_INVOKE, &request, false).await;
    let [plain, joined] = [plain, joined].map(|answer| {
        let (messages, trailers) = frames(answer.body);
        assert!(trailers.contains("grpc-status:0"), "{trailers}");
        texts(stream(&messages))
    });
    assert!(joined.len() < plain.len(), "{joined:?}");
    assert_eq!(joined.concat(), plain.concat());
}

#[tokio::test]
async fn invoke_answers_pages_too() {
    let gateway = gateway().await;
    let answer = call(&gateway, INVOKE, &invoke(ask(MODEL)), false).await;
    let (messages, trailers) = frames(answer.body);
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
    let response = InvokeResponse::decode(messages[0].clone()).unwrap();
    assert_eq!(response.stop_reason_name, "end_turn");
}

#[tokio::test]
async fn an_error_before_the_first_event_is_in_the_headers_that_pages_may_read() {
    let gateway = gateway().await;
    let answer = call(&gateway, STREAM_INVOKE, &faulty("throttling"), false).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("access-control-allow-origin"), PAGE);
    let exposed = answer
        .header("access-control-expose-headers")
        .to_lowercase();
    for name in [
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        "x-request-id",
        "grpc-retry-pushback-ms",
    ] {
        assert!(exposed.contains(name), "{name} is not in {exposed}");
        let (_, trailers) = frames(answer.body.clone());
        let told = answer.headers.contains_key(name) || trailers.contains(name);
        assert!(
            told,
            "{name} is neither in {:?} nor in {trailers:?}",
            answer.headers
        );
    }
}

#[tokio::test]
async fn an_error_in_mid_stream_is_in_the_body_behind_the_tokens() {
    let gateway = gateway().await;
    let answer = call(
        &gateway,
        STREAM_INVOKE,
        &faulty("stream-throttling-after-3"),
        false,
    )
    .await;
    let (messages, trailers) = frames(answer.body);
    let deltas = stream(&messages)
        .into_iter()
        .filter(|message| matches!(message.event, Some(Event::ContentBlockDelta(_))));
    assert_eq!(deltas.count(), 3);
    assert!(trailers.contains("grpc-status:8"), "{trailers}");
    assert!(trailers.contains("grpc-status-details-bin:"), "{trailers}");
}

async fn preflight(gateway: &Gateway, origin: &str) -> Web {
    let request = Request::options(STREAM_INVOKE)
        .header("host", gateway.address.to_string())
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "content-type,x-grpc-web,x-request-id,authorization,traceparent,tracestate",
        )
        .body(Full::default())
        .unwrap();
    Web::send(gateway.address, request).await
}

#[tokio::test]
async fn browsers_learn_which_pages_may_call() {
    let gateway = gateway().await;
    let allowed = preflight(&gateway, PAGE).await;
    assert_eq!(allowed.status, StatusCode::OK);
    assert_eq!(allowed.header("access-control-allow-origin"), PAGE);
    assert_eq!(allowed.header("access-control-allow-methods"), "POST");
    let headers = allowed.header("access-control-allow-headers");
    for name in [
        "content-type",
        "x-grpc-web",
        "x-request-id",
        "authorization",
        "traceparent",
        "tracestate",
    ] {
        assert!(headers.contains(name), "{name} is not in {headers}");
    }
    let denied = preflight(&gateway, "https://evil.example.com").await;
    assert_eq!(denied.header("access-control-allow-origin"), "");
    assert_eq!(gateway.emulator.calls(), []);
}

#[tokio::test]
async fn without_a_config_no_page_may_call_and_with_a_star_all() {
    let closed = Gateway::start().await;
    assert_eq!(
        preflight(&closed, PAGE)
            .await
            .header("access-control-allow-origin"),
        ""
    );
    let open =
        Gateway::with(|config, _| config.server.cors.allowed_origins = vec!["*".to_owned()]).await;
    assert_eq!(
        preflight(&open, PAGE)
            .await
            .header("access-control-allow-origin"),
        PAGE
    );
}
