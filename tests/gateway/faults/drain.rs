//! Rolling updates.

use std::time::Duration;

use tokio::net::TcpStream;
use tonic::Code;

use crate::harness::{Gateway, Stream, ask, faulty, get, paced, soon};

#[tokio::test]
async fn open_streams_end_whole_while_new_calls_are_sent_elsewhere() {
    let mut gateway =
        Gateway::with(|_, options| options.pace = paced(Duration::from_millis(20), 50)).await;
    let mut client = gateway.inference();
    let mut stream = Stream::open(&mut client, ask("nova")).await;
    stream.tokens(2).await;
    gateway.stop.drain.cancel();
    // The listener closes once the drain has begun, which takes a moment.
    while TcpStream::connect(gateway.address).await.is_ok() {
        assert!(stream.next().await.is_some(), "{:?}", stream.so_far().end);
    }
    // The client may try another pod. On the connection that drains, tonic's client itself says CANCELLED for its first call.
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

#[tokio::test]
async fn a_stream_that_cannot_end_in_time_is_cut_with_one_status() {
    for (fault, phase) in [
        ("stall-after-2", "mid-stream"),
        ("stall-after-0", "before-first-event"),
    ] {
        let mut gateway =
            Gateway::with(|config, _| config.drain.limit = Duration::from_millis(100)).await;
        let mut client = gateway.inference();
        let call =
            tokio::spawn(async move { Stream::open(&mut client, faulty(fault)).await.end().await });
        soon(
            gateway
                .emulator
                .wait_for(|calls| calls.len() == 1 && calls[0].status.is_some()),
        )
        .await;
        if phase == "mid-stream" {
            soon(gateway.emulator.wait_for(|calls| calls[0].events_sent >= 3)).await;
        }
        gateway.stop.drain.cancel();
        let answer = soon(call).await.unwrap();
        assert_eq!(
            answer.code(),
            Code::Unavailable,
            "{fault}: {:?}",
            answer.end
        );
        let details = answer.details();
        assert_eq!(details.reason(), "DRAINING", "{fault}");
        assert_eq!(details.phase(), phase, "{fault}");
        let retried = phase != "mid-stream";
        assert_eq!(details.retry().is_some(), retried, "{fault}");
        assert_eq!(
            details.pushback_ms,
            Some(if retried { 1000 } else { -1 }),
            "{fault}"
        );
        gateway.finished().await;
    }
}
