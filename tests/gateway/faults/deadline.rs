//! `grpc-timeout`: one deadline for the whole call. The test sends it by hand, because client
//! libraries enforce it themselves, earlier.

use std::time::Duration;

use bedrock_emulator::End;
use bedrock_grpc::pb::StreamInvokeRequest;
use http::Request;
use prost::Message;
use tonic::{Code, Status};

use crate::harness::{
    Details, Frame, Gateway, MODEL, RawCall, STREAM_INVOKE, ask, faulty, invoke, message, paced,
    status,
};

const INVOKE: &str = "/bedrock.inference.v1.InferenceService/Invoke";

async fn call(gateway: &Gateway, path: &str, request: &impl Message, timeout: &str) -> Vec<Frame> {
    let call =
        Request::post(format!("http://{}{path}", gateway.address)).header("grpc-timeout", timeout);
    let body = message(0, &request.encode_to_vec());
    RawCall::send(gateway, call, &body).await.frames().await
}

async fn stream(gateway: &Gateway, request: &StreamInvokeRequest, timeout: &str) -> Vec<Frame> {
    call(gateway, STREAM_INVOKE, request, timeout).await
}

/// The status is in the last frame.
#[track_caller]
fn status_in(frames: &[Frame]) -> Status {
    let Some(Frame::Headers { headers, end: true } | Frame::Trailers(headers)) = frames.last()
    else {
        panic!("no status in {frames:?}");
    };
    status(headers)
}

#[track_caller]
fn is_over(frames: &[Frame], phase: &str) {
    let status = status_in(frames);
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    let details = Details::of(&status);
    assert_eq!(details.reason(), "DEADLINE_EXCEEDED");
    assert_eq!(details.phase(), phase);
    assert_eq!(details.pushback_ms, Some(-1));
}

#[tokio::test]
async fn a_deadline_before_the_first_event_is_a_trailers_only_response() {
    let gateway = Gateway::start().await;
    for fault in ["stall-before-headers", "stall-after-0"] {
        let frames = stream(&gateway, &faulty(fault), "2S").await;
        assert_eq!(frames.len(), 1, "{fault}: {frames:?}");
        is_over(&frames, "before-first-event");
    }
    let calls = gateway.ended(2).await;
    assert!(
        calls.iter().all(|call| call.end == Some(End::ClientGone)),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_deadline_in_mid_stream_ends_a_silent_and_a_busy_stream() {
    let gateway =
        Gateway::with(|_, options| options.pace = paced(Duration::from_millis(20), 1_000)).await;
    for request in [faulty("stall-after-2"), ask(MODEL)] {
        let frames = stream(&gateway, &request, "3S").await;
        assert!(frames.len() > 2, "{frames:?}");
        is_over(&frames, "mid-stream");
    }
    let calls = gateway.ended(2).await;
    assert!(
        calls.iter().all(|call| call.end == Some(End::ClientGone)),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_deadline_ends_invoke() {
    let gateway = Gateway::start().await;
    let frames = call(&gateway, INVOKE, &invoke(faulty("stall-after-2")), "2S").await;
    let status = status_in(&frames);
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(gateway.ended(1).await[0].end, Some(End::ClientGone));
}

#[tokio::test]
async fn the_operators_limits_apply_if_the_caller_sets_none() {
    let short = Duration::from_secs(2);
    let capped = Gateway::with(|config, _| config.limits.max_deadline = short).await;
    is_over(
        &stream(&capped, &faulty("stall-after-0"), "1H").await,
        "before-first-event",
    );
    let default = Gateway::with(|config, _| config.limits.default_deadline = short).await;
    let frames = RawCall::to(&default, &faulty("stall-after-0"))
        .await
        .frames()
        .await;
    is_over(&frames, "before-first-event");
}

#[tokio::test]
async fn a_deadline_that_cannot_be_read_is_refused() {
    let gateway = Gateway::start().await;
    for timeout in ["", "10", "S", "10s", "-1S", "123456789S", "1.5S"] {
        let status = status_in(&stream(&gateway, &ask(MODEL), timeout).await);
        assert_eq!(status.code(), Code::InvalidArgument, "{timeout:?}");
        assert_eq!(
            Details::of(&status).fields(),
            ["grpc-timeout"],
            "{timeout:?}"
        );
    }
    assert_eq!(gateway.emulator.calls(), []);
}
