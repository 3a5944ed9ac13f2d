//! Metadata, compression, sizes and names: what gRPC itself transports.

use bedrock_grpc::pb::{StreamInvokeRequest, stream_invoke_response::Event};
use http::Request;
use prost::Message;
use tonic::{Code, IntoRequest, codec::CompressionEncoding};

use crate::harness::{
    Details, Frame, Gateway, MODEL, RawCall, STREAM_INVOKE, Stream, ask, faulty, message, status,
};

fn post(gateway: &Gateway, path: &str) -> http::request::Builder {
    Request::post(format!("http://{}{path}", gateway.address))
}

fn with_id(request: StreamInvokeRequest, id: &str) -> tonic::Request<StreamInvokeRequest> {
    let mut request = request.into_request();
    request
        .metadata_mut()
        .insert("x-request-id", id.parse().unwrap());
    request
}

#[tokio::test]
async fn the_callers_request_id_is_returned_everywhere() {
    let gateway = Gateway::start().await;
    let answer = gateway.stream(with_id(ask(MODEL), "caller-7")).await;
    assert_eq!(answer.headers.get("x-request-id").unwrap(), "caller-7");
    let Some(Event::MessageStart(start)) = answer.events().next() else {
        panic!("{:?}", answer.shape());
    };
    assert_eq!(start.request_id, "caller-7");

    let refused = gateway
        .stream(with_id(faulty("throttling"), "caller-8"))
        .await;
    assert_eq!(refused.details().request().unwrap().request_id, "caller-8");
    let status = refused.end.unwrap_err();
    assert_eq!(status.metadata().get("x-request-id").unwrap(), "caller-8");
}

#[tokio::test]
async fn a_request_id_that_is_none_is_replaced() {
    let gateway = Gateway::start().await;
    let mut seen = Vec::new();
    for bad in ["", "two words", &"x".repeat(129)] {
        let answer = gateway.stream(with_id(ask(MODEL), bad)).await;
        let id = answer
            .headers
            .get("x-request-id")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(id.len(), 32, "{id}");
        assert!(!seen.contains(&id));
        seen.push(id);
    }
}

#[tokio::test]
async fn compressed_requests_are_read_if_allowed_and_streams_are_not_compressed() {
    let gateway = Gateway::with(|config, _| config.limits.max_compression_ratio = 100).await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = gateway
            .inference()
            .send_compressed(encoding)
            .accept_compressed(encoding);
        let answer = Stream::open(&mut client, ask(MODEL)).await.end().await;
        answer.is_whole();
        let of_answer = answer
            .headers
            .get("grpc-encoding")
            .map(|value| value.to_str().unwrap());
        assert!(
            matches!(of_answer, None | Some("identity")),
            "{of_answer:?}"
        );
    }
}

#[tokio::test]
async fn compressed_requests_are_refused_unless_the_operator_allows_them() {
    let gateway = Gateway::start().await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = gateway.inference().send_compressed(encoding);
        let answer = Stream::open(&mut client, ask(MODEL)).await.end().await;
        assert_eq!(answer.code(), Code::Unimplemented);
        assert_eq!(answer.details().reason(), "UNIMPLEMENTED");
        let status = answer.end.unwrap_err();
        assert!(
            status.message().contains("limits.max_compression_ratio"),
            "{status:?}"
        );
        assert_eq!(
            status.metadata().get("grpc-accept-encoding").unwrap(),
            "identity"
        );
    }
    assert_eq!(gateway.emulator.calls(), []);
}

#[tokio::test]
async fn a_message_that_expands_beyond_the_ratio_is_refused() {
    let gateway = Gateway::with(|config, _| config.limits.max_compression_ratio = 20).await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = gateway.inference().send_compressed(encoding);
        let mut request = ask(MODEL);
        request.target = "x".repeat(1 << 20);
        let answer = Stream::open(&mut client, request).await.end().await;
        assert_eq!(answer.code(), Code::ResourceExhausted, "{:?}", answer.end);
        assert_eq!(answer.details().reason(), "MESSAGE_TOO_LARGE");
        let message = answer.end.unwrap_err().message().to_owned();
        assert!(
            message.contains("limits.max_compression_ratio"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn an_encoding_that_is_not_known_is_unimplemented() {
    let gateway = Gateway::with(|config, _| config.limits.max_compression_ratio = 20).await;
    let call = post(&gateway, STREAM_INVOKE).header("grpc-encoding", "br");
    let body = message(1, &ask(MODEL).encode_to_vec());
    let frames = RawCall::send(&gateway, call, &body).await.frames().await;
    let [Frame::Headers { headers, end: true }] = frames.as_slice() else {
        panic!("{frames:?}");
    };
    assert_eq!(headers["grpc-status"], "12");
    assert_eq!(Details::of(&status(headers)).reason(), "UNIMPLEMENTED");
    let accepted = &headers["grpc-accept-encoding"];
    assert!(
        accepted.contains("gzip") && accepted.contains("zstd"),
        "{accepted}"
    );
}

#[tokio::test]
async fn a_compressed_message_without_an_encoding_is_internal() {
    let gateway = Gateway::start().await;
    let body = message(1, &ask(MODEL).encode_to_vec());
    let call = RawCall::send(&gateway, post(&gateway, STREAM_INVOKE), &body).await;
    let status = call.status().await;
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(Details::of(&status).reason(), "MESSAGE_UNREADABLE");
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let gateway = Gateway::start().await;
    // Field 1 is a text: invalid UTF-8, longer than the message, and a varint without an end.
    for bytes in [
        &b"\x0a\x02\xff\xfe"[..],
        b"\x0a\x7fshort",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let call = RawCall::send(&gateway, post(&gateway, STREAM_INVOKE), &message(0, bytes)).await;
        let status = call.status().await;
        assert_eq!(status.code(), Code::Internal, "{bytes:?}: {status:?}");
        assert_eq!(Details::of(&status).reason(), "MESSAGE_UNREADABLE");
    }
    assert_eq!(gateway.emulator.calls(), []);
    gateway.stream(ask(MODEL)).await.is_whole();
}

#[tokio::test]
async fn an_unknown_method_and_an_unknown_service_are_unimplemented() {
    let gateway = Gateway::start().await;
    for path in [
        "/bedrock.inference.v1.InferenceService/Forget",
        "/no.such.Service/Method",
        "/",
    ] {
        let call = RawCall::send(&gateway, post(&gateway, path), &message(0, b"")).await;
        let status = call.status().await;
        assert_eq!(status.code(), Code::Unimplemented, "{path}: {status:?}");
        assert_eq!(Details::of(&status).reason(), "UNIMPLEMENTED", "{path}");
        assert!(status.message().contains(path), "{status:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_by_its_own_name() {
    let gateway = Gateway::with(|config, _| config.limits.max_request_size = 10_000).await;
    let mut request = ask(MODEL);
    request.target = "x".repeat(20_000);
    let answer = gateway.stream(request).await;
    assert_eq!(answer.code(), Code::ResourceExhausted);
    let details = answer.details();
    assert_eq!(details.reason(), "MESSAGE_TOO_LARGE");
    assert_eq!(details.pushback_ms, Some(-1));
    let status = answer.end.unwrap_err();
    assert!(
        status.message().contains("limits.max_request_size"),
        "{}",
        status.message()
    );
    assert_eq!(gateway.emulator.calls(), []);
    gateway.stream(ask(MODEL)).await.is_whole();
}

#[tokio::test]
async fn a_message_that_grows_too_large_by_decompression_is_refused() {
    let gateway = Gateway::with(|config, _| {
        config.limits.max_request_size = 10_000;
        config.limits.max_compression_ratio = 1_000;
    })
    .await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = gateway.inference().send_compressed(encoding);
        let mut request = ask(MODEL);
        request.target = "x".repeat(10_000_000);
        let answer = Stream::open(&mut client, request).await.end().await;
        assert_eq!(
            answer.code(),
            Code::ResourceExhausted,
            "{encoding:?}: {:?}",
            answer.end
        );
        assert_eq!(answer.details().reason(), "MESSAGE_TOO_LARGE");
    }
}

#[tokio::test]
async fn target_service_takes_large_messages_no_better() {
    let gateway = Gateway::start().await;
    let request = bedrock_grpc::pb::GetTargetRequest {
        target: "x".repeat(5 << 20),
    };
    let status = gateway.targets().get_target(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(Details::of(&status).reason(), "MESSAGE_TOO_LARGE");
}
