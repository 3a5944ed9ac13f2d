//! Clients that cancel a call or disconnect.

use std::time::{Duration, Instant};

use bedrock_emulator::End;

use crate::harness::{Gateway, RawCall, faulty, soon};

/// Far below every limit that would close the call, far above what a busy machine needs.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Waits until the only call has reached Bedrock and returned this many frames, disconnects, and
/// checks that the call to Bedrock is closed.
async fn leaves(gateway: &Gateway, mut call: RawCall, frames: u64) {
    soon(
        gateway
            .emulator
            .wait_for(|calls| calls.len() == 1 && calls[0].events_sent >= frames),
    )
    .await;
    let left = Instant::now();
    call.cancel();
    let calls = gateway.ended(1).await;
    assert!(left.elapsed() < AT_ONCE, "{:?}", left.elapsed());
    assert_eq!(calls[0].end, Some(End::ClientGone));
    gateway.emulator.clear_calls();
}

async fn cancelled(gateway: &Gateway) -> f64 {
    let sample = r#"bedrock_grpc_calls_total{method="StreamInvoke",target="raw",code="CANCELLED",reason="CANCELLED"}"#;
    gateway.metric(sample).await
}

async fn every_cancel_closes_bedrocks_call(gateway: &Gateway) {
    let before_headers = RawCall::to(gateway, &faulty("stall-before-headers")).await;
    leaves(gateway, before_headers, 0).await;
    let before_the_first_token = RawCall::to(gateway, &faulty("stall-after-0")).await;
    leaves(gateway, before_the_first_token, 0).await;
    let mut in_mid_stream = RawCall::to(gateway, &faulty("stall-after-2")).await;
    assert!(in_mid_stream.next().await.is_some());
    leaves(gateway, in_mid_stream, 3).await;
    // The gateway's state is as before: it has counted the calls, and holds no slot for them.
    assert_eq!(cancelled(gateway).await, 3.0);
    assert_eq!(gateway.metric("bedrock_grpc_open_calls").await, 0.0);
}

#[tokio::test]
async fn a_cancel_closes_bedrocks_call_over_http1() {
    every_cancel_closes_bedrocks_call(&Gateway::start().await).await;
}

#[tokio::test]
async fn a_cancel_closes_bedrocks_call_over_http2() {
    every_cancel_closes_bedrocks_call(&Gateway::over_h2(|_, _| {}).await).await;
}

/// Over HTTP/2, the end of one call does not affect others.
#[tokio::test]
async fn a_cancel_leaves_other_calls_of_the_connection_alone() {
    let gateway = Gateway::over_h2(|_, options| {
        options.pace = crate::harness::paced(Duration::from_millis(20), 20);
    })
    .await;
    let mut client = gateway.inference();
    let mut leaving = crate::harness::Stream::open(&mut client, faulty("stall-after-2")).await;
    let mut staying = crate::harness::Stream::open(&mut client, crate::harness::ask("nova")).await;
    leaving.tokens(2).await;
    staying.tokens(2).await;
    drop(leaving);
    let answer = staying.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), 20);
}
