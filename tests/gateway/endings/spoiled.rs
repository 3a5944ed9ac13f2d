//! Errors in the stream: exceptions, premature ends, malformed bytes, silence.

use std::time::Duration;

use futures_util::future::join_all;
use tonic::Code;

use super::{Told, told};
use crate::harness::{Gateway, MODEL, ask, faulty};

/// What ends a stream immediately, as reported in mid-stream.
const SPOILED: [Told; 11] = [
    told(
        "stream-throttling",
        Code::ResourceExhausted,
        "UPSTREAM_THROTTLED",
        "ThrottlingException",
    ),
    told(
        "stream-internal",
        Code::Internal,
        "UPSTREAM_INTERNAL",
        "InternalServerException",
    ),
    told(
        "stream-model-stream-error",
        Code::Unavailable,
        "MODEL_STREAM_ERROR",
        "ModelStreamErrorException",
    )
    .original(500),
    told(
        "stream-validation",
        Code::InvalidArgument,
        "UPSTREAM_VALIDATION",
        "ValidationException",
    ),
    told(
        "stream-service-unavailable",
        Code::Unavailable,
        "UPSTREAM_UNAVAILABLE",
        "ServiceUnavailableException",
    ),
    told(
        "stream-unknown",
        Code::Unknown,
        "UPSTREAM_UNKNOWN",
        "FutureException",
    ),
    told(
        "stream-error",
        Code::Internal,
        "UPSTREAM_INTERNAL",
        "InternalFailure",
    ),
    told(
        "end-without-message-stop",
        Code::Unavailable,
        "UPSTREAM_TRUNCATED",
        "",
    ),
    told("invalid-index", Code::DataLoss, "UPSTREAM_CORRUPT", ""),
    told("bad-crc", Code::DataLoss, "UPSTREAM_CORRUPT", ""),
    told("cut-in-frame", Code::Unavailable, "UPSTREAM_TRUNCATED", ""),
];
/// Those that can be retried as long as nothing was forwarded.
const RETRIED_BEFORE: [&str; 4] = [
    "stream-throttling",
    "stream-service-unavailable",
    "end-without-message-stop",
    "cut-in-frame",
];
/// Faults that take time or depend on it have separate tests below.
const TIMED: [&str; 4] = ["reset", "stall", "stall-before-headers", "slow"];
/// Long enough that a pause of the machine does not count as silence, short enough to wait for.
const SILENCE: Duration = Duration::from_secs(2);

pub(super) fn faults() -> Vec<&'static str> {
    SPOILED.iter().map(|told| told.fault).chain(TIMED).collect()
}

#[tokio::test]
async fn as_the_first_frame_it_is_a_trailers_only_response() {
    let gateway = Gateway::start().await;
    for spoiled in SPOILED {
        let answer = gateway
            .stream(faulty(&format!("{}-after-0", spoiled.fault)))
            .await;
        assert!(answer.trailers_only, "{}", spoiled.fault);
        let spoiled = match RETRIED_BEFORE.contains(&spoiled.fault) {
            true => spoiled.after(1000),
            false => spoiled,
        };
        spoiled
            .reports_one_call(&gateway, &answer, "before-first-event")
            .await;
    }
}

#[tokio::test]
async fn in_mid_stream_earlier_tokens_are_kept_and_nothing_is_retried() {
    let gateway = Gateway::start().await;
    let whole: Vec<String> = owned(gateway.stream(ask(MODEL)).await.texts());
    gateway.ended(1).await;
    gateway.emulator.clear_calls();
    for spoiled in &SPOILED {
        let answer = gateway
            .stream(faulty(&format!("{}-after-3", spoiled.fault)))
            .await;
        assert!(!answer.trailers_only, "{}", spoiled.fault);
        assert_eq!(owned(answer.texts()), whole[..3], "{}", spoiled.fault);
        let shape = answer.shape();
        assert!(!shape.contains(&"metadata"), "{}: {shape:?}", spoiled.fault);
        assert!(
            !shape.contains(&"message_stop"),
            "{}: {shape:?}",
            spoiled.fault
        );
        spoiled
            .reports_one_call(&gateway, &answer, "mid-stream")
            .await;
    }
}

fn owned<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    texts.map(str::to_owned).collect()
}

#[tokio::test]
async fn invoke_gives_no_half_answer() {
    let gateway = Gateway::start().await;
    let mut client = gateway.inference();
    for spoiled in &SPOILED {
        let request = faulty(&format!("{}-after-3", spoiled.fault));
        let status = client
            .invoke(crate::harness::invoke(request))
            .await
            .unwrap_err();
        assert_eq!(status.code(), spoiled.code, "{}", spoiled.fault);
        let details = crate::harness::Details::of(&status);
        assert_eq!(details.reason(), spoiled.reason, "{}", spoiled.fault);
    }
}

/// A TCP reset can overtake bytes that were sent before it, so it is undefined how much arrives.
#[tokio::test]
async fn a_connection_that_is_reset_is_unavailable() {
    let gateway = Gateway::start().await;
    let whole = gateway.stream(ask(MODEL)).await.text();
    let answer = gateway.stream(faulty("reset-after-3")).await;
    assert_eq!(answer.code(), Code::Unavailable);
    assert!(whole.starts_with(&answer.text()));
    assert!(answer.texts().count() <= 3);
    let reason = answer.details().reason();
    let reasons = ["UPSTREAM_TRUNCATED", "UPSTREAM_CONNECT"];
    assert!(reasons.contains(&reason.as_str()), "{reason}");
}

#[tokio::test]
async fn a_stream_that_is_reset_over_http2_is_unavailable_and_keeps_its_tokens() {
    let gateway = Gateway::over_h2(|_, _| {}).await;
    let whole: Vec<String> = owned(gateway.stream(ask(MODEL)).await.texts());
    gateway.ended(1).await;
    gateway.emulator.clear_calls();
    let answer = gateway.stream(faulty("reset-after-3")).await;
    assert_eq!(owned(answer.texts()), whole[..3]);
    let cut = told("reset", Code::Unavailable, "UPSTREAM_TRUNCATED", "");
    cut.reports_one_call(&gateway, &answer, "mid-stream").await;
}

#[tokio::test]
async fn silence_before_the_first_event_is_unavailable_and_can_be_retried() {
    let gateway = Gateway::with(|config, _| config.limits.first_event = SILENCE).await;
    let faults = ["stall-before-headers", "stall-after-0", "slow-after-0"];
    let answers = join_all(faults.map(|fault| gateway.stream(faulty(fault)))).await;
    for (fault, answer) in faults.into_iter().zip(answers) {
        assert!(answer.trailers_only, "{fault}");
        told(fault, Code::Unavailable, "UPSTREAM_IDLE", "")
            .after(1000)
            .reports(&answer, "before-first-event");
    }
    // The gateway has closed the calls to Bedrock.
    let calls = gateway.ended(3).await;
    assert!(
        calls
            .iter()
            .all(|call| call.end == Some(bedrock_emulator::End::ClientGone))
    );
}

#[tokio::test]
async fn silence_in_mid_stream_is_unavailable() {
    let gateway = Gateway::with(|config, _| config.limits.idle = SILENCE).await;
    let answer = gateway.stream(faulty("stall-after-3")).await;
    assert_eq!(answer.texts().count(), 3);
    let silent = told("stall", Code::Unavailable, "UPSTREAM_IDLE", "");
    silent
        .reports_one_call(&gateway, &answer, "mid-stream")
        .await;
}
