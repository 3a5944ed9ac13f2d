//! A call ends at its deadline, whatever it waits for, and the call to Bedrock with it.

use std::time::{Duration, Instant};

use bedrock_grpc::config::Config;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tonic::Code;

use crate::{
    harness::{Gateway, Web, ask, faulty, invoke},
    support::{Client, INVOKE, STREAM_INVOKE, left, message, metric_becomes},
};

/// Enough time for a call to reach Bedrock and for a few events to return, on a busy machine.
const SHORT: Duration = Duration::from_secs(2);
/// The same time as a value of `grpc-timeout`.
const SHORT_TIMEOUT: (&str, &str) = ("grpc-timeout", "2S");

#[tokio::test]
async fn a_client_that_never_sends_its_message_is_ended() {
    let gateway = Gateway::start().await;
    let mut client = Client::connect(gateway.address).await;
    let begun = Instant::now();
    let mut calls = Vec::new();
    for path in [STREAM_INVOKE, INVOKE] {
        calls.push(client.headers(path, &[SHORT_TIMEOUT]).await);
    }
    for mut silent in calls {
        let status = silent.status().await;
        status.is(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        assert!(status.trailers_only);
    }
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
    assert!(gateway.emulator.calls().is_empty());
}

#[tokio::test]
async fn a_slow_message_uses_up_the_deadline_of_the_answer() {
    let gateway = Gateway::start().await;
    let mut client = Client::connect(gateway.address).await;
    let budget = Duration::from_secs(4);
    let begun = Instant::now();
    let mut call = client
        .headers(STREAM_INVOKE, &[("grpc-timeout", "4S")])
        .await;
    let request = message(&faulty("stall-after-2"));
    let (first, rest) = request.split_at(request.len() / 2);
    call.send(Bytes::copy_from_slice(first), false);
    // The client sends its message slowly.
    tokio::time::sleep(Duration::from_secs(2)).await;
    call.send(Bytes::copy_from_slice(rest), true);
    let status = call.status().await;
    let elapsed = begun.elapsed();
    status.is(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    assert!(!status.trailers_only);
    assert_eq!(status.details().phase(), "mid-stream");
    // A deadline that began with the message would expire after 6 s.
    assert!(elapsed >= budget, "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(6), "{elapsed:?}");
    left(&gateway.emulator, 1).await;
}

#[tokio::test]
async fn before_headers_and_in_mid_stream_streamed_and_whole() {
    let gateway = Gateway::start().await;
    let mut client = Client::connect(gateway.address).await;
    let faults = ["stall-before-headers", "stall-after-0", "stall-after-3"];
    for (index, fault) in faults.into_iter().enumerate() {
        let request = faulty(fault);
        let mut streamed = client.call(STREAM_INVOKE, &[SHORT_TIMEOUT], &request).await;
        let mut whole = client
            .call(INVOKE, &[SHORT_TIMEOUT], &invoke(request))
            .await;
        let status = streamed.status().await;
        status.is(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        // Nothing was forwarded, so the whole response is a status.
        assert_eq!(status.trailers_only, fault != "stall-after-3", "{fault}");
        let status = whole.status().await;
        status.is(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        assert!(status.trailers_only);
        left(&gateway.emulator, 2 * (index + 1)).await;
    }
    metric_becomes(&gateway, "bedrock_grpc_open_calls", 0.0).await;
}

#[tokio::test]
async fn callers_that_set_none_have_the_default_and_none_has_more_than_the_most() {
    for (change, timeout) in [
        (
            (|config: &mut Config| config.limits.default_deadline = SHORT) as fn(&mut Config),
            None,
        ),
        (
            |config| config.limits.max_deadline = SHORT,
            Some(("grpc-timeout", "1H")),
        ),
    ] {
        let gateway = Gateway::with(|config, _| change(config)).await;
        let mut client = Client::connect(gateway.address).await;
        let headers: Vec<_> = timeout.into_iter().collect();
        let begun = Instant::now();
        let mut call = client
            .call(STREAM_INVOKE, &headers, &faulty("stall-after-1"))
            .await;
        let status = call.status_within(Duration::from_secs(30)).await;
        status.is(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
        assert!(begun.elapsed() >= SHORT);
        left(&gateway.emulator, 1).await;
    }
}

#[tokio::test]
async fn a_deadline_that_is_not_reached_changes_nothing() {
    let gateway = Gateway::start().await;
    let mut client = Client::connect(gateway.address).await;
    let mut call = client
        .call(STREAM_INVOKE, &[("grpc-timeout", "1H")], &ask("nova"))
        .await;
    assert_eq!(call.status().await.status.code(), Code::Ok);
}

#[tokio::test]
async fn browsers_have_deadlines_too() {
    let gateway = Gateway::start().await;
    let request = Request::post(STREAM_INVOKE)
        .header("host", gateway.address.to_string())
        .header("content-type", "application/grpc-web+proto")
        .header(SHORT_TIMEOUT.0, SHORT_TIMEOUT.1)
        .body(Full::new(message(&faulty("stall-after-1"))))
        .unwrap();
    let answer = Web::send(gateway.address, request).await;
    assert_eq!(answer.status, 200);
    // The trailers are the last part of the body.
    let body = String::from_utf8_lossy(&answer.body);
    assert!(body.contains("grpc-status:4\r\n"), "{body}");
    left(&gateway.emulator, 1).await;
}
