//! A complete answer is OK, whatever follows it; an incomplete one never is.

use std::time::Duration;

use bedrock_emulator::{Cut, End, Options};
use bedrock_grpc::{
    config::{Config, OnCancel},
    pb::{ConverseStreamMetadata, InvokeResponse, stream_invoke_response::Event},
};
use http::Request;
use prost::Message as _;
use tonic::Code;

use super::recording::{self, Frames};
use crate::harness::{
    Answer, Details, Frame, Gateway, RawCall, STREAM_INVOKE, Stream, ask, faulty, invoke, message,
    soon, status,
};

/// What Bedrock can send after a complete answer.
const AFTERMATHS: [&str; 9] = [
    "stream-throttling",
    "stream-internal",
    "stream-model-stream-error",
    "stream-service-unavailable",
    "stream-unknown",
    "stream-error",
    "bad-crc",
    "cut-in-frame",
    "reset",
];
/// The idle limit of tests in which Bedrock is silent.
const SILENCE: Duration = Duration::from_secs(2);

fn one_write(_: &mut Config, options: &mut Options) {
    options.cut = Cut::Every((1 << 20).try_into().unwrap());
}

fn frame_by_frame(_: &mut Config, _: &mut Options) {}

fn metadata(answer: &Answer) -> &ConverseStreamMetadata {
    match answer.events().last() {
        Some(Event::Metadata(event)) => event.metadata.as_ref().unwrap(),
        other => panic!("the last is {other:?}"),
    }
}

/// Checks every aftermath, after `messageStop` and after `metadata`, for both methods.
async fn aftermaths_change_nothing(gateway: &Gateway) {
    let whole = gateway.stream(ask(crate::harness::MODEL)).await.text();
    for aftermath in AFTERMATHS {
        for (after, has_usage) in [("messageStop", false), ("metadata", true)] {
            let fault = format!("{aftermath}-after-{after}");
            let answer = gateway.stream(faulty(&fault)).await;
            answer.is_whole();
            assert_eq!(answer.text(), whole, "{fault}");
            assert_eq!(metadata(&answer).usage.is_some(), has_usage, "{fault}");
            let response = gateway.inference().invoke(invoke(faulty(&fault))).await;
            let response: InvokeResponse = response.unwrap().into_inner();
            let usage = response.metadata.unwrap().usage;
            assert_eq!(usage.is_some(), has_usage, "{fault}");
        }
    }
    let missing = gateway.metric("bedrock_grpc_usage_missing_total").await;
    assert_eq!(missing, 2.0 * AFTERMATHS.len() as f64);
    let throttled = r#"bedrock_grpc_usage_missing_total{reason="UPSTREAM_THROTTLED"}"#;
    assert_eq!(gateway.metric(throttled).await, 2.0);
    // The routes are as healthy as before: nothing is counted against them.
    let failed: f64 = gateway
        .metric(r#"bedrock_grpc_attempts_total{reason=""}"#)
        .await;
    assert_eq!(failed, gateway.metric("bedrock_grpc_attempts_total").await);
}

#[tokio::test]
async fn what_follows_a_complete_answer_changes_nothing_over_http1() {
    aftermaths_change_nothing(&Gateway::with(frame_by_frame).await).await;
}

#[tokio::test]
async fn what_follows_a_complete_answer_in_the_same_write_changes_nothing_over_http1() {
    aftermaths_change_nothing(&Gateway::with(one_write).await).await;
}

#[tokio::test]
async fn what_follows_a_complete_answer_changes_nothing_over_http2() {
    aftermaths_change_nothing(&Gateway::over_h2(frame_by_frame).await).await;
}

#[tokio::test]
async fn what_follows_a_complete_answer_in_the_same_write_changes_nothing_over_http2() {
    aftermaths_change_nothing(&Gateway::over_h2(one_write).await).await;
}

/// A target of two Regions, so that breaker and cooldown would decide.
#[tokio::test]
async fn the_health_of_the_route_is_that_of_the_answer() {
    let gateway = Gateway::with(|config, _| {
        let routes = ["us-east-1", "us-west-2"].map(|region| {
            crate::harness::route(
                &format!(
                    "{}.fault-stream-throttling-after-metadata",
                    crate::harness::MODEL
                ),
                region,
                0,
            )
        });
        let alias = crate::harness::over(routes.into());
        config.targets.aliases.insert("two".to_owned(), alias);
    })
    .await;
    for _ in 0..8 {
        gateway.stream(ask("two")).await.is_whole();
    }
    assert_eq!(gateway.metric("bedrock_grpc_cool_down_seconds").await, 0.0);
    for state in ["open", "half_open"] {
        let sample = format!(r#"bedrock_grpc_breaker_state{{state="{state}"}}"#);
        assert_eq!(gateway.metric(&sample).await, 0.0, "{state}");
    }
}

#[tokio::test]
async fn metadata_that_is_early_is_held_back() {
    for gateway in [
        Gateway::with(frame_by_frame).await,
        Gateway::with(one_write).await,
    ] {
        let answer = gateway.stream(faulty("early-metadata")).await;
        answer.is_whole();
        assert!(metadata(&answer).usage.is_some());
        let response = gateway
            .inference()
            .invoke(invoke(faulty("early-metadata")))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(response.stop_reason_name, "end_turn");
        assert!(response.metadata.unwrap().usage.is_some());
    }
}

/// Streams that hold `metadata` and no `messageStop`.
fn never_stopped() -> [(&'static str, Frames); 3] {
    let answer = || Frames::default().start().text("Hello").block_stop(0);
    [
        ("before messageStop", answer().metadata()),
        ("alone", Frames::default().metadata()),
        ("twice", answer().metadata().metadata()),
    ]
}

#[tokio::test]
async fn metadata_without_message_stop_is_no_answer() {
    for (name, frames) in never_stopped() {
        for one_write in [false, true] {
            let replay = recording::of("Hello", &frames);
            let gateway = Gateway::with(|config, options| {
                config.limits.idle = SILENCE;
                options.replay = Some(replay);
                if one_write {
                    options.cut = Cut::Every((1 << 20).try_into().unwrap());
                }
            })
            .await;
            for (fault, reason) in [
                ("", "UPSTREAM_TRUNCATED"),
                (".fault-stall", "UPSTREAM_IDLE"),
            ] {
                let request = recording::asking("Hello", fault);
                let answer = gateway.stream(request.clone()).await;
                assert_eq!(answer.code(), Code::Unavailable, "{name} {fault}");
                assert_eq!(answer.details().reason(), reason, "{name} {fault}");
                assert!(!answer.shape().contains(&"metadata"), "{name} {fault}");
                let failed = gateway.inference().invoke(invoke(request)).await;
                let details = Details::of(&failed.unwrap_err());
                assert_eq!(details.reason(), reason, "{name} {fault}");
            }
        }
    }
}

#[tokio::test]
async fn silence_after_a_complete_answer_is_ok() {
    let gateway = Gateway::with(|config, _| config.limits.idle = SILENCE).await;
    let answer = gateway.stream(faulty("stall-after-messageStop")).await;
    answer.is_whole();
    assert_eq!(*metadata(&answer), ConverseStreamMetadata::default());
    // The gateway closes the call to Bedrock.
    assert_eq!(gateway.ended(1).await[0].end, Some(End::ClientGone));
    let missing = r#"bedrock_grpc_usage_missing_total{reason="UPSTREAM_IDLE"}"#;
    assert_eq!(gateway.metric(missing).await, 1.0);
}

#[tokio::test]
async fn the_deadline_after_a_complete_answer_is_ok() {
    let gateway = Gateway::start().await;
    let call = Request::post(format!("http://{}{STREAM_INVOKE}", gateway.address))
        .header("grpc-timeout", "2S");
    let body = message(0, &faulty("stall-after-messageStop").encode_to_vec());
    let frames = RawCall::send(&gateway, call, &body).await.frames().await;
    let Some(Frame::Trailers(trailers)) = frames.last() else {
        panic!("no trailers in {frames:?}");
    };
    assert_eq!(status(trailers).code(), Code::Ok);
    let missing = r#"bedrock_grpc_usage_missing_total{reason="DEADLINE_EXCEEDED"}"#;
    assert_eq!(gateway.metric(missing).await, 1.0);
}

#[tokio::test]
async fn the_end_of_a_drain_after_a_complete_answer_is_ok() {
    let mut gateway =
        Gateway::with(|config, _| config.drain.limit = Duration::from_millis(100)).await;
    let request = faulty("stall-after-messageStop");
    let mut stream = Stream::open(&mut gateway.inference(), request).await;
    while !matches!(
        stream
            .next()
            .await
            .and_then(|message| message.event.as_ref()),
        Some(Event::MessageStop(_)) | None
    ) {}
    gateway.stop.drain.cancel();
    let answer = stream.end().await;
    answer.is_whole();
    assert_eq!(*metadata(&answer), ConverseStreamMetadata::default());
    gateway.finished().await;
}

/// Opens a stream, and leaves once the answer is complete.
async fn leave_after_message_stop(gateway: &Gateway, fault: &str) {
    let mut client = gateway.inference();
    let mut stream = Stream::open(&mut client, faulty(fault)).await;
    while !matches!(
        stream
            .next()
            .await
            .and_then(|message| message.event.as_ref()),
        Some(Event::MessageStop(_)) | None
    ) {}
    drop(stream);
    soon(
        gateway
            .emulator
            .wait_for(|calls| calls.len() == 1 && calls[0].end == Some(End::ClientGone)),
    )
    .await;
    while gateway.metric("bedrock_grpc_cancelled_total").await == 0.0 {}
}

#[tokio::test]
async fn a_client_that_leaves_a_complete_answer_closes_bedrocks_call() {
    let gateway = Gateway::start().await;
    leave_after_message_stop(&gateway, "stall-after-messageStop").await;
    let unknown = r#"bedrock_grpc_cancelled_total{usage="unknown"}"#;
    assert_eq!(gateway.metric(unknown).await, 1.0);
    let answered = r#"bedrock_grpc_attempts_total{reason=""}"#;
    assert_eq!(gateway.metric(answered).await, 1.0);
}

/// The read-out for usage waits for `metadata` no longer than any other call.
#[tokio::test]
async fn the_read_out_of_a_complete_answer_is_bounded() {
    let gateway = Gateway::with(|config, _| {
        config.limits.on_cancel = OnCancel::DrainForUsage {
            time: Duration::from_secs(3_600),
            tokens: 4_096,
        };
    })
    .await;
    leave_after_message_stop(&gateway, "stall-after-messageStop").await;
}

#[tokio::test]
async fn a_model_timeout_is_for_the_caller_to_decide() {
    let gateway = Gateway::start().await;
    let details = gateway.stream(faulty("model-timeout")).await.details();
    assert!(details.upstream().unwrap().retryable);
    assert!(details.retry().is_none());
    assert_eq!(details.pushback_ms, Some(-1));
}
