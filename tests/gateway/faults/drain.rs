//! Rolling updates.

use std::time::Duration;

use tokio::net::TcpStream;
use tonic::Code;

use crate::harness::{Answer, Gateway, Stream, ask, faulty, get, paced, soon};

#[tokio::test]
async fn open_streams_complete_while_new_calls_go_to_other_replicas() {
    let mut gateway =
        Gateway::with(|_, options| options.pace = paced(Duration::from_millis(50), 50)).await;
    let mut client = gateway.inference();
    let mut stream = Stream::open(&mut client, ask("nova")).await;
    stream.tokens(2).await;
    gateway.stop.drain.cancel();
    // The listener closes a moment after the drain has begun.
    while TcpStream::connect(gateway.address).await.is_ok() {
        assert!(stream.next().await.is_some(), "{:?}", stream.so_far().end);
    }
    // The client may try another pod. On the draining connection, tonic's client itself reports
    // CANCELLED for its first call.
    let mut codes = Vec::new();
    for client in [&mut client.clone(), &mut client, &mut gateway.inference()] {
        let refused = soon(client.stream_invoke(ask("nova"))).await.unwrap_err();
        codes.push(refused.code());
    }
    assert!(
        matches!(codes[0], Code::Cancelled | Code::Unavailable),
        "{codes:?}"
    );
    assert_eq!(codes[1..], [Code::Unavailable; 2]);
    let answer = stream.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), 50);
    gateway.finished().await;
    assert_eq!(gateway.emulator.calls().len(), 1);
}

#[tokio::test]
async fn until_load_balancers_have_noticed_calls_are_still_served() {
    let mut gateway =
        Gateway::with(|config, _| config.drain.lame_duck = Duration::from_secs(600)).await;
    assert_eq!(get(gateway.admin, "/readyz").await.0, 200);
    gateway.stop.drain.cancel();
    while get(gateway.admin, "/readyz").await.0 == 200 {}
    assert_eq!(get(gateway.admin, "/livez").await.0, 200);
    gateway.stream(ask("nova")).await.is_whole();
    gateway.stop.now.cancel();
    gateway.finished().await;
}

async fn short_drain() -> Gateway {
    Gateway::with(|config, _| config.drain.limit = Duration::from_millis(100)).await
}

#[track_caller]
fn is_cut(answer: &Answer, phase: &str, pushback_ms: i64) {
    assert_eq!(answer.code(), Code::Unavailable, "{:?}", answer.end);
    let details = answer.details();
    assert_eq!(details.reason(), "DRAINING");
    assert_eq!(details.phase(), phase);
    assert_eq!(details.pushback_ms, Some(pushback_ms));
    assert_eq!(details.retry().is_some(), pushback_ms > 0);
}

#[tokio::test]
async fn a_stream_that_cannot_end_in_time_is_cut_with_one_status() {
    let mut gateway = short_drain().await;
    let mut stream = Stream::open(&mut gateway.inference(), faulty("stall-after-2")).await;
    stream.tokens(2).await;
    gateway.stop.drain.cancel();
    is_cut(&stream.end().await, "mid-stream", -1);
    gateway.finished().await;
}

#[tokio::test]
async fn a_call_without_a_timely_answer_can_be_retried_on_another_route() {
    let mut gateway = short_drain().await;
    let mut client = gateway.inference();
    let call = async move {
        Stream::open(&mut client, faulty("stall-after-0"))
            .await
            .end()
            .await
    };
    let call = tokio::spawn(call);
    soon(
        gateway
            .emulator
            .wait_for(|calls| calls.iter().any(|call| call.status.is_some())),
    )
    .await;
    gateway.stop.drain.cancel();
    is_cut(&soon(call).await.unwrap(), "before-first-event", 1000);
    gateway.finished().await;
}
