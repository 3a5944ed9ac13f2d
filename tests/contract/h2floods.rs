//! Floods of HTTP/2 frames end their own connection or come to nothing, and take no memory.

use bytes::BytesMut;
use tonic::Code;

use crate::{
    harness::{MODEL, ask},
    support::{
        Child, Client, STREAM_INVOKE, Upstream, message,
        wire::{
            CONTINUATION, DATA, END_HEADERS, FLOW_CONTROL_ERROR, GOAWAY, HEADERS, PING, RST_STREAM,
            SETTINGS, WINDOW_UPDATE, Wire, call_headers, frame, put_header,
        },
    },
};

/// What the process may grow by, whatever is sent.
const BOUND: usize = 32 << 20;

/// Floods a gateway, which has to take it all or close the connection, and to serve others all the while. How often it took it, and
/// how it complained.
async fn survives(first: &[u8], flood: &[u8], times: usize) -> (usize, Vec<u32>) {
    let mut upstream = Upstream::start().await;
    let gateway = Child::serve(&upstream.endpoint_url(), "").await;
    let mut other = Client::connect(gateway.address).await;
    let mut open = other.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    let mut exchange = upstream.exchange().await;
    exchange
        .send("messageStart", serde_json::json!({"role": "assistant"}))
        .await;
    open.read_messages(1).await;
    let before = gateway.memory();

    let mut wire = Wire::connect(gateway.address).await;
    wire.send(first).await;
    let (taken, frames) = wire.flood(flood, times).await;

    let grown = gateway.peak_memory().saturating_sub(before);
    assert!(grown < BOUND, "{grown} bytes");
    // The other client's stream goes on.
    exchange.token("word").await;
    exchange.finish().await;
    assert_eq!(open.status().await.status.code(), Code::Ok);
    (taken, frames.iter().map(|frame| frame.error()).collect())
}

#[tokio::test]
async fn continuations_without_end() {
    let mut block = BytesMut::new();
    while block.len() < 16 << 10 {
        put_header(&mut block, "x-more", &"y".repeat(120));
    }
    block.truncate(block.len() / 129 * 129);
    let headers = frame(HEADERS, 0, 1, &call_headers());
    let more = frame(CONTINUATION, 0, 1, &block[..16 << 10]);
    let (taken, _) = survives(&headers, &more, 10_000).await;
    assert!(taken < 10_000, "160 MB of headers were taken");
}

#[tokio::test]
async fn small_continuations_without_end() {
    let headers = frame(HEADERS, 0, 1, &call_headers());
    let more = frame(CONTINUATION, 0, 1, &[]).repeat(1_000);
    let (taken, _) = survives(&headers, &more, 10_000).await;
    assert!(taken < 10_000, "10 million frames were taken");
}

#[tokio::test]
async fn headers_that_are_too_large() {
    let mut calls = Vec::new();
    for stream in [1, 3, 5] {
        let mut block = BytesMut::from(&call_headers()[..]);
        while block.len() < 80 << 10 {
            put_header(&mut block, "x-more", &"y".repeat(120));
        }
        let (first, rest) = block.split_at(16 << 10);
        calls.extend_from_slice(&frame(HEADERS, 0, stream, first));
        let mut rest = rest.chunks(16 << 10).peekable();
        while let Some(piece) = rest.next() {
            let flags = if rest.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            calls.extend_from_slice(&frame(CONTINUATION, flags, stream, piece));
        }
    }
    let mut upstream = Upstream::start().await;
    let gateway = Child::serve(&upstream.endpoint_url(), "").await;
    let mut wire = Wire::connect(gateway.address).await;
    wire.send(&calls).await;
    // 431, a reset or GOAWAY: HTTP/2 leaves the choice.
    loop {
        match wire.next().await {
            Some(frame) if matches!(frame.kind, RST_STREAM | GOAWAY | HEADERS) => break,
            Some(_) => {}
            None => break,
        }
    }
    let mut client = Client::connect(gateway.address).await;
    let mut call = client.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    let mut exchange = upstream.exchange().await;
    exchange
        .send("messageStart", serde_json::json!({"role": "assistant"}))
        .await;
    call.read_messages(1).await;
}

#[tokio::test]
async fn pings() {
    let pings = frame(PING, 0, 0, &[1; 8]).repeat(1_000);
    survives(&[], &pings, 300).await;
}

#[tokio::test]
async fn settings() {
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(1_000);
    survives(&[], &settings, 300).await;
}

#[tokio::test]
async fn empty_data() {
    let mut call = BytesMut::new();
    call.extend_from_slice(&frame(HEADERS, END_HEADERS, 1, &call_headers()));
    // Not whole: the service waits for the rest.
    call.extend_from_slice(&frame(DATA, 0, 1, &message(&ask(MODEL))[..10]));
    let nothing = frame(DATA, 0, 1, &[]).repeat(1_000);
    survives(&call, &nothing, 300).await;
}

#[tokio::test]
async fn windows_that_overflow() {
    let most = 0x7fff_ffff_u32.to_be_bytes();
    let update = frame(WINDOW_UPDATE, 0, 0, &most);
    let (_, errors) = survives(&[], &update, 10).await;
    assert!(errors.contains(&FLOW_CONTROL_ERROR), "{errors:?}");
}
