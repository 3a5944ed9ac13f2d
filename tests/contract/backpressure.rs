//! A client that does not read makes the gateway stop reading from Bedrock, uses little memory, and
//! is ended after a time limit.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bedrock_grpc::config::Config;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    task::JoinSet,
};
use tonic::Code;

use crate::{
    harness::{Gateway, MODEL, ask, invoke, soon},
    support::{Child, Client, Exchange, INVOKE, Open, STREAM_INVOKE, Upstream, message, queues},
};

const SECOND: Duration = Duration::from_secs(1);
/// The windows that HTTP/2 gives a client by default.
const WINDOW: u32 = (64 << 10) - 1;
/// The maximum number of bytes of an unread stream that the gateway may hold.
const BOUND: usize = 256 << 10;

/// A gateway in front of a Bedrock that the test controls.
async fn gateway(change: impl FnOnce(&mut Config)) -> (Gateway, Upstream) {
    let upstream = Upstream::start().await;
    let endpoint_url = upstream.endpoint_url();
    let gateway = Gateway::with(|config, _| {
        config.bedrock.endpoint_url = Some(endpoint_url);
        change(config);
    })
    .await;
    (gateway, upstream)
}

/// Returns a client with these windows, and an open call that it does not read.
async fn unread(gateway: &Gateway, window: u32, headers: &[(&str, &str)]) -> (Client, Open) {
    let mut client = Client::with(gateway.address, |builder| {
        builder
            .initial_window_size(window)
            .initial_connection_window_size(window.max(WINDOW));
    })
    .await;
    let call = client.call(STREAM_INVOKE, headers, &ask("nova")).await;
    (client, call)
}

/// Floods the gateway until it closes the call to Bedrock. Returns the bytes that the gateway
/// itself held when it stopped reading, and how long that lasted.
async fn flooded(exchange: &mut Exchange) -> (usize, Duration) {
    let written = Arc::new(AtomicUsize::new(0));
    let (bedrock, gateway) = (
        exchange.tcp.local_addr().unwrap(),
        exchange.tcp.peer_addr().unwrap(),
    );
    let counted = Arc::clone(&written);
    let begun = Instant::now();
    let flood = exchange.flood(move |bytes| {
        counted.fetch_add(bytes, Ordering::Relaxed);
    });
    tokio::pin!(flood);
    let mut held = 0;
    loop {
        let look = tokio::time::timeout(Duration::from_millis(50), &mut flood);
        if look.await.is_ok() {
            return (held, begun.elapsed());
        }
        assert!(begun.elapsed() < 50 * SECOND, "the call stays open");
        // The gateway has not read the bytes that are still in the kernel.
        let sent = queues(bedrock, gateway);
        if let (Some((in_transit, _)), Some((_, unread))) = (sent, queues(gateway, bedrock)) {
            held = written
                .load(Ordering::Relaxed)
                .saturating_sub(in_transit + unread);
        }
    }
}

/// Checks that the gateway closes the call to Bedrock of a client that reads nothing, and that it
/// holds a limited number of bytes. The client has this window.
async fn stalls(window: u32) -> (Gateway, Client, Open) {
    let (gateway, mut upstream) = gateway(|config| config.limits.write_stall = SECOND).await;
    let (client, call) = unread(&gateway, window, &[]).await;
    let mut exchange = upstream.exchange().await;
    let (held, lasted) = flooded(&mut exchange).await;
    // The measurement worked, and the bytes are limited.
    assert!(held > 0);
    assert!(
        held <= BOUND + 2 * window as usize,
        "{held} bytes were read"
    );
    println!("{held} bytes were read");
    // The call ends although the client has read nothing, but not before the time limit.
    assert!(lasted >= SECOND, "{lasted:?}");
    (gateway, client, call)
}

#[tokio::test]
async fn a_client_that_reads_nothing() {
    let (_gateway, _client, mut call) = stalls(WINDOW).await;
    // When the client reads again, it gets the messages that were ready, and then the status.
    let status = call.status().await;
    status.is(Code::Aborted, "CLIENT_STALLED");
    assert_eq!(status.details().phase(), "mid-stream");
    assert!(call.messages.len() > 10, "{}", call.messages.len());
}

#[tokio::test]
async fn a_window_of_one_byte() {
    stalls(1).await;
}

/// Sends tokens one at a time until the gateway accepts no more of them, and waits until it closes
/// the call.
async fn trickle(exchange: &mut Exchange) {
    let text = "x".repeat(1 << 10);
    exchange
        .send("messageStart", json!({"role": "assistant"}))
        .await;
    // These pieces are larger than the window and all buffers together. After each piece, the
    // gateway waits for Bedrock. On a slow machine, it may close the call before the last piece.
    for _ in 0..(WINDOW >> 10) * 3 {
        if exchange.try_token(&text).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    exchange.closed().await;
}

#[tokio::test]
async fn a_client_that_stops_while_bedrock_is_slow() {
    let (gateway, mut upstream) = gateway(|config| config.limits.write_stall = SECOND).await;
    let (_client, mut call) = unread(&gateway, WINDOW, &[]).await;
    let mut exchange = upstream.exchange().await;
    trickle(&mut exchange).await;
    let status = call.status().await;
    status.is(Code::Aborted, "CLIENT_STALLED");
}

#[tokio::test]
async fn the_deadline_of_a_client_that_reads_nothing() {
    for slow in [false, true] {
        // The time limit for stalled clients is the default, one minute.
        let (gateway, mut upstream) = gateway(|_| {}).await;
        let (_client, mut call) = unread(&gateway, WINDOW, &[("grpc-timeout", "3S")]).await;
        let begun = Instant::now();
        let mut exchange = upstream.exchange().await;
        if slow {
            trickle(&mut exchange).await;
        } else {
            flooded(&mut exchange).await;
        }
        assert!(begun.elapsed() < 40 * SECOND, "{:?}", begun.elapsed());
        let status = call.status().await;
        status.is(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    }
}

/// Waits until a full gateway accepts a call again.
async fn has_a_place_again(gateway: &Gateway, upstream: &mut Upstream) {
    let mut client = Client::connect(gateway.address).await;
    let taken = async {
        loop {
            let mut call = client.call(STREAM_INVOKE, &[], &ask("nova")).await;
            // A refused call ends; an accepted one reaches Bedrock.
            tokio::select! {
                mut exchange = upstream.exchange() => {
                    call.cancel();
                    return exchange.closed().await;
                }
                status = call.status() => status.is(Code::Unavailable, "REPLICA_SATURATED"),
            }
        }
    };
    soon(taken).await;
}

#[tokio::test]
async fn a_client_that_stays_stuck_loses_its_stream_and_keeps_its_connection() {
    let (gateway, mut upstream) = gateway(|config| {
        config.limits.write_stall = SECOND;
        config.limits.max_streams = 2;
    })
    .await;
    // The connection has room and answers pings, so only one stream is stalled.
    let mut client = Client::with(gateway.address, |builder| {
        builder.initial_connection_window_size(64 << 20);
    })
    .await;
    let mut other = client.call(STREAM_INVOKE, &[], &ask("nova")).await;
    let mut goes_on = upstream.exchange().await;
    goes_on
        .send("messageStart", json!({"role": "assistant"}))
        .await;
    other.read_messages(1).await;
    let mut stuck = client.call(STREAM_INVOKE, &[], &ask("nova")).await;
    let mut exchange = upstream.exchange().await;
    flooded(&mut exchange).await;
    // The call has ended, but the client does not read its status.
    has_a_place_again(&gateway, &mut upstream).await;
    let error = soon(stuck.end()).await.unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{error}");
    goes_on.token("word").await;
    goes_on.finish().await;
    assert_eq!(other.status().await.status.code(), Code::Ok);
}

#[tokio::test]
async fn an_answer_whose_client_reads_no_byte() {
    for path in [STREAM_INVOKE, INVOKE] {
        let (gateway, mut upstream) = gateway(|config| {
            config.limits.write_stall = SECOND;
            config.limits.max_streams = 1;
        })
        .await;
        let mut client = Client::with(gateway.address, |builder| {
            builder.initial_window_size(0);
        })
        .await;
        let deadline = [("grpc-timeout", "2S")];
        let mut stuck = match path {
            INVOKE => client.call(path, &deadline, &invoke(ask("nova"))).await,
            _ => client.call(path, &deadline, &ask("nova")).await,
        };
        let mut exchange = upstream.exchange().await;
        exchange
            .send("messageStart", json!({"role": "assistant"}))
            .await;
        exchange.token("word").await;
        exchange.finish().await;
        has_a_place_again(&gateway, &mut upstream).await;
        let error = soon(stuck.end()).await.unwrap_err();
        assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{path}: {error}");
    }
}

/// HTTP/1.1 cannot reset a stream, so the gateway closes the connection, which has no other call.
#[tokio::test]
async fn a_browser_that_stays_stuck_loses_its_connection() {
    let (gateway, mut upstream) = gateway(|config| {
        config.limits.write_stall = SECOND;
        config.limits.max_streams = 1;
    })
    .await;
    let mut stuck = gateway.connect().await;
    let body = message(&ask("nova"));
    let head = format!(
        "POST {STREAM_INVOKE} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/grpc-web+proto\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stuck.write_all(head.as_bytes()).await.unwrap();
    stuck.write_all(&body).await.unwrap();
    let mut exchange = upstream.exchange().await;
    exchange.flood(|_| ()).await;
    has_a_place_again(&gateway, &mut upstream).await;
    // Bytes that are in transit still arrive, and then the end.
    let mut said = Vec::new();
    let _end = soon(stuck.read_to_end(&mut said)).await;
    assert!(said.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_waits_for_bedrock_has_not_stalled() {
    let stall = Duration::from_millis(200);
    let (gateway, mut upstream) = gateway(|config| config.limits.write_stall = stall).await;
    let (_client, mut call) = unread(&gateway, WINDOW, &[]).await;
    let mut exchange = upstream.exchange().await;
    exchange
        .send("messageStart", json!({"role": "assistant"}))
        .await;
    for _ in 0..3 {
        exchange.token("word").await;
        // Bedrock is silent for several times the limit.
        tokio::time::sleep(4 * stall).await;
    }
    exchange.finish().await;
    assert_eq!(call.status().await.status.code(), Code::Ok);
}

#[tokio::test]
async fn a_thousand_clients_that_read_nothing() {
    const CLIENTS: usize = 1_000;
    let mut upstream = Upstream::start().await;
    let gateway = Child::serve(
        &upstream.endpoint_url(),
        "limits:\n  max_streams: 2000\n  write_stall: 10m",
    )
    .await;
    // The first call makes the allocations that happen only once.
    let (_first, mut call) = loud(gateway.address).await;
    let mut exchange = upstream.exchange().await;
    exchange
        .send("messageStart", json!({"role": "assistant"}))
        .await;
    call.begun().await.unwrap();
    let before = gateway.memory();

    let progress = Arc::new(Notify::new());
    let mut floods = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(loud(gateway.address).await);
        let mut exchange = upstream.exchange().await;
        let progress = Arc::clone(&progress);
        floods.spawn(async move { exchange.flood(|_| progress.notify_one()).await });
    }
    // Ends when Bedrock could not write for a while, because all buffers are full.
    while tokio::time::timeout(SECOND / 2, progress.notified())
        .await
        .is_ok()
    {}
    assert!(floods.try_join_next().is_none(), "a call was closed");
    let grown = gateway.peak_memory().saturating_sub(before);
    println!("{} KiB a client", grown / CLIENTS / 1024);
    assert!(grown < 256 << 20, "{grown} bytes");
}

/// A client that makes a call and does not read.
async fn loud(gateway: SocketAddr) -> (Client, Open) {
    let mut client = Client::with(gateway, |_| {}).await;
    let call = client.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    (client, call)
}
