//! A Bedrock that attacks: the model's name in the path says how. It serves HTTP/1.1, one call for
//! each connection.

use std::net::SocketAddr;

use bedrock_emulator::frame;
use bytes::BytesMut;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::Error;

/// The Region in the ARNs of this Bedrock's models.
pub(crate) const REGION: &str = "eu-central-1";
/// The models.
pub(crate) const LARGE_ERROR: &str = "large-error";
pub(crate) const UNKNOWN_EVENTS: &str = "unknown-events";
pub(crate) const LARGE_EVENTS: &str = "large-events";

const MIB: usize = 1 << 20;
/// The size of the body of an error, in bytes.
const ERROR: usize = 1_000 * MIB;
/// The size of a large event's text in bytes, a little less than AWS's limit of 16 MiB.
const EVENT: usize = 15 * MIB;
/// The number of unknown events in an answer.
const EVENTS: usize = 40_000;

/// Listens, and returns the address.
pub(crate) async fn listen() -> Result<(TcpListener, SocketAddr), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Answers calls until the process ends.
pub(crate) async fn serve(listener: TcpListener) -> Result<(), Error> {
    loop {
        let (tcp, _) = listener.accept().await?;
        tokio::spawn(async move {
            // The gateway may close the connection at any time.
            let _answered = answer(tcp).await;
        });
    }
}

async fn answer(mut tcp: TcpStream) -> Result<(), Error> {
    let mut read = BytesMut::new();
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        if tcp.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
    let request = String::from_utf8_lossy(&read).into_owned();
    let path = request.lines().next().unwrap_or_default();
    if path.contains(LARGE_ERROR) {
        let head = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {ERROR}\r\n\r\n"
        );
        tcp.write_all(head.as_bytes()).await?;
        let spaces = vec![b' '; MIB];
        for _ in 0..ERROR / MIB {
            tcp.write_all(&spaces).await?;
        }
        return Ok(());
    }
    tcp.write_all(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\nconnection: close\r\n\r\n",
    )
    .await?;
    let mut events = BytesMut::new();
    event(&mut events, "messageStart", json!({"role": "assistant"}));
    if path.contains(UNKNOWN_EVENTS) {
        for number in 0..EVENTS {
            event(&mut events, "ofTomorrow", json!({"number": number}));
        }
    } else {
        let text = "x".repeat(EVENT);
        let delta = json!({"contentBlockIndex": 0, "delta": {"text": text}});
        event(&mut events, "contentBlockDelta", delta);
    }
    event(
        &mut events,
        "contentBlockStop",
        json!({"contentBlockIndex": 0}),
    );
    event(
        &mut events,
        "messageStop",
        json!({"stopReason": "end_turn"}),
    );
    tcp.write_all(&events).await?;
    // The gateway may have left data unread, such as the rest of the request.
    while tcp.read_buf(&mut read).await? > 0 {
        read.clear();
    }
    Ok(())
}

fn event(out: &mut BytesMut, event_type: &str, payload: Value) {
    let members = match payload {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    frame::event(out, event_type, members);
}
