//! When the gateway sends response headers: a client's retry policy applies only before that.

use std::time::Duration;

use bedrock_grpc::pb::stream_invoke_response::Event;

use crate::harness::{Frame, Gateway, MODEL, RawCall, Stream, ask, faulty, paced};

/// A short time, so that the test is short.
const HEADERS_AFTER: Duration = Duration::from_millis(50);
const HEARTBEAT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn an_error_before_the_first_event_is_one_frame() {
    let gateway = Gateway::start().await;
    for fault in ["throttling", "stream-throttling-after-0", "bad-crc-after-0"] {
        let frames = RawCall::to(&gateway, &faulty(fault)).await.frames().await;
        let [Frame::Headers { headers, end: true }] = frames.as_slice() else {
            panic!("{fault}: {frames:?}");
        };
        assert_eq!(headers[":status"], "200", "{fault}");
        assert_eq!(headers["content-type"], "application/grpc", "{fault}");
        assert!(headers.contains_key("grpc-status-details-bin"), "{fault}");
        assert!(headers.contains_key("x-request-id"), "{fault}");
    }
    let invalid = RawCall::to(&gateway, &ask("")).await.frames().await;
    assert!(
        matches!(invalid.as_slice(), [Frame::Headers { end: true, .. }]),
        "{invalid:?}"
    );
}

#[tokio::test]
async fn an_error_in_mid_stream_is_one_frame_of_trailers() {
    let gateway = Gateway::start().await;
    let frames = RawCall::to(&gateway, &faulty("stream-throttling-after-3"))
        .await
        .frames()
        .await;
    let [
        Frame::Headers {
            headers,
            end: false,
        },
        middle @ ..,
        Frame::Trailers(trailers),
    ] = frames.as_slice()
    else {
        panic!("{frames:?}");
    };
    assert!(!headers.contains_key("grpc-status"));
    assert!(!middle.is_empty());
    assert!(
        middle.iter().all(|frame| matches!(frame, Frame::Data(_))),
        "{middle:?}"
    );
    assert_eq!(trailers["grpc-status"], "8");
    assert_eq!(trailers["grpc-retry-pushback-ms"], "-1");
}

#[tokio::test]
async fn a_complete_answer_ends_with_one_ok_status_in_trailers() {
    let gateway = Gateway::start().await;
    let frames = RawCall::to(&gateway, &ask(MODEL)).await.frames().await;
    let [
        Frame::Headers { end: false, .. },
        middle @ ..,
        Frame::Trailers(trailers),
    ] = frames.as_slice()
    else {
        panic!("{frames:?}");
    };
    assert!(
        middle.iter().all(|frame| matches!(frame, Frame::Data(_))),
        "{middle:?}"
    );
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn headers_wait_for_the_first_event() {
    let first_token = Duration::from_millis(300);
    let gateway = Gateway::with(|_, options| options.pace.time_to_first_token = first_token).await;
    let begun = std::time::Instant::now();
    let mut stream = Stream::open(&mut gateway.inference(), ask(MODEL)).await;
    // Bedrock's own headers arrived immediately.
    assert!(begun.elapsed() >= first_token);
    let first = stream.next().await.unwrap();
    assert!(
        matches!(first.event, Some(Event::MessageStart(_))),
        "{first:?}"
    );
    stream.end().await.is_whole();
}

#[tokio::test]
async fn headers_go_out_without_an_event_after_a_time() {
    let gateway = Gateway::with(|config, _| config.limits.headers_after = HEADERS_AFTER).await;
    for fault in ["stall-before-headers", "stall-after-0"] {
        let mut call = RawCall::to(&gateway, &faulty(fault)).await;
        let frame = call.next().await;
        assert!(
            matches!(frame, Some(Frame::Headers { end: false, .. })),
            "{fault}: {frame:?}"
        );
    }
}

#[tokio::test]
async fn heartbeats_are_sent_while_bedrock_is_silent() {
    let gateway = Gateway::with(|config, _| {
        config.limits.headers_after = HEADERS_AFTER;
        config.limits.heartbeat = HEARTBEAT;
    })
    .await;
    for (fault, tokens) in [
        ("stall-before-headers", 0),
        ("stall-after-0", 0),
        ("stall-after-2", 2),
    ] {
        let mut stream = Stream::open(&mut gateway.inference(), faulty(fault)).await;
        stream.tokens(tokens).await;
        let mut silent = Duration::ZERO;
        for _ in 0..3 {
            let message = stream.next().await.unwrap().clone();
            let Some(Event::Heartbeat(heartbeat)) = message.event else {
                panic!("{fault}: {message:?}");
            };
            let now = Duration::try_from(heartbeat.silent.unwrap()).unwrap();
            assert!(now > silent, "{fault}: {now:?} after {silent:?}");
            silent = now;
        }
    }
}

/// Early headers commit the client, so the error that follows arrives in trailers. It can still be
/// distinguished from an error in mid-stream.
#[tokio::test]
async fn an_error_behind_early_headers_is_trailers() {
    let gateway = Gateway::with(|config, _| {
        config.limits.headers_after = HEADERS_AFTER;
        config.limits.first_event = 10 * HEADERS_AFTER;
    })
    .await;
    let frames = RawCall::to(&gateway, &faulty("stall-after-0"))
        .await
        .frames()
        .await;
    let [Frame::Headers { end: false, .. }, Frame::Trailers(trailers)] = frames.as_slice() else {
        panic!("{frames:?}");
    };
    assert_eq!(trailers["grpc-status"], "14");
}

#[tokio::test]
async fn the_caller_chooses_the_heartbeat_or_none() {
    let gateway = Gateway::with(|config, options| {
        config.limits.heartbeat = HEARTBEAT;
        options.pace = paced(4 * HEARTBEAT, 3);
    })
    .await;
    let mut request = ask(MODEL);
    let answer = gateway.stream(request.clone()).await;
    assert!(
        answer.shape().contains(&"heartbeat"),
        "{:?}",
        answer.shape()
    );
    answer.is_whole();
    request.heartbeat_interval = Some(prost_types::Duration::default());
    let answer = gateway.stream(request).await;
    assert!(
        !answer.shape().contains(&"heartbeat"),
        "{:?}",
        answer.shape()
    );
}
