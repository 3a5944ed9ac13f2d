//! Floods of HTTP/2 frames end their own connection or have no effect, and use no memory.

use bytes::BytesMut;
use tonic::Code;

use crate::{
    harness::{MODEL, ask},
    support::{
        Child, Client, STREAM_INVOKE, Upstream, message,
        wire::{
            CONTINUATION, DATA, END_HEADERS, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, Flooded,
            HEADERS, PING, SETTINGS, WINDOW_UPDATE, Wire, call_headers, frame, put_header,
        },
    },
};

/// How much the process may grow, whatever is sent.
const BOUND: usize = 32 << 20;

/// Floods a gateway, which must serve other clients meanwhile, and must not grow.
async fn survives(first: &[u8], flood: &[u8], times: usize) -> Flooded {
    let mut upstream = Upstream::start().await;
    let mut gateway = Child::serve(&upstream.endpoint_url(), "").await;
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
    let flooded = wire.flood(flood, times).await;

    let grown = gateway.peak_memory().saturating_sub(before);
    assert!(grown < BOUND, "{grown} bytes");
    // The other client's stream continues.
    exchange.token("word").await;
    exchange.finish().await;
    assert_eq!(open.status().await.status.code(), Code::Ok);
    println!("{flooded:?}");
    if flooded.errors.contains(&ENHANCE_YOUR_CALM) {
        let line = gateway.logged("it sent too many HTTP/2 frames").await;
        assert!(line.contains("127.0.0.1"), "{line}");
    }
    flooded
}

/// Floods a gateway, which closes the connection for it.
async fn is_closed(first: &[u8], flood: &[u8], times: usize, with: u32) {
    let flooded = survives(first, flood, times).await;
    assert!(flooded.closed, "{flooded:?}");
    // The reset of the socket may arrive before the message.
    if let Some(last) = flooded.errors.last() {
        assert_eq!(*last, with, "{flooded:?}");
    }
}

/// Floods a gateway with frames that have no limit. h2 answers each such frame, and stops reading
/// while an answer cannot be written. So the sender has the same cost as the gateway, and nothing
/// accumulates.
async fn comes_to_nothing(flood: &[u8], times: usize) {
    let flooded = survives(&[], flood, times).await;
    assert!(!flooded.closed && flooded.taken == times, "{flooded:?}");
}

#[tokio::test]
async fn continuations_without_end() {
    let mut block = BytesMut::new();
    // As many headers as fit into one frame.
    for _ in 0..(16 << 10) / 129 {
        put_header(&mut block, "x-more", &"y".repeat(120));
    }
    let headers = frame(HEADERS, 0, 1, &call_headers());
    let more = frame(CONTINUATION, 0, 1, &block);
    // 160 MB of headers.
    is_closed(&headers, &more, 10_000, ENHANCE_YOUR_CALM).await;
}

#[tokio::test]
async fn small_continuations_without_end() {
    let headers = frame(HEADERS, 0, 1, &call_headers());
    let more = frame(CONTINUATION, 0, 1, &[]).repeat(1_000);
    // 10 million frames.
    is_closed(&headers, &more, 10_000, ENHANCE_YOUR_CALM).await;
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
    // Each of them alone is refused with 431, as HTTP defines it: the connection can continue, and
    // no service is called.
    let mut upstream = Upstream::start().await;
    let gateway = Child::serve(&upstream.endpoint_url(), "").await;
    let mut wire = Wire::connect(gateway.address).await;
    wire.send(&calls).await;
    for stream in [1, 3, 5] {
        let refused = wire.next_of(HEADERS).await.unwrap();
        assert_eq!(refused.stream, stream);
        // `:status`, as a literal with an indexed name, and its value.
        let block = String::from_utf8_lossy(&refused.payload).into_owned();
        println!("{:02x?} {block:?}", refused.payload);
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
    comes_to_nothing(&pings, 300).await;
}

#[tokio::test]
async fn settings() {
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(1_000);
    comes_to_nothing(&settings, 300).await;
}

#[tokio::test]
async fn empty_data() {
    let mut call = BytesMut::new();
    call.extend_from_slice(&frame(HEADERS, END_HEADERS, 1, &call_headers()));
    // The message is incomplete, so the service waits for the rest.
    call.extend_from_slice(&frame(DATA, 0, 1, &message(&ask(MODEL))[..10]));
    let nothing = frame(DATA, 0, 1, &[]).repeat(1_000);
    is_closed(&call, &nothing, 300, ENHANCE_YOUR_CALM).await;
}

#[tokio::test]
async fn windows_that_overflow() {
    let most = 0x7fff_ffff_u32.to_be_bytes();
    let update = frame(WINDOW_UPDATE, 0, 0, &most);
    let flooded = survives(&[], &update, 10).await;
    assert!(flooded.errors.contains(&FLOW_CONTROL_ERROR), "{flooded:?}");
}
