//! Refused calls on a connection that other calls share, such as that of a load balancer.
//!
//! The frames are written here, because client libraries send nothing after a call was refused.
//! Over a network, frames can be in transit when a call is refused.

use std::{collections::BTreeSet, time::Duration};

use bedrock_grpc::{access::key::Secret, config::Access};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Gateway, STREAM_INVOKE, access_of, ask, key_of, message, paced, soon};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// More than the gateway may send in these tests.
const WINDOW: u32 = 1 << 30;
/// The stream that is open all the time.
const OPEN: u32 = 1;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a call, as literals.
fn headers(stream: u32, key: Option<&Secret>) -> Vec<u8> {
    // POST, http
    let mut fields = vec![0x83, 0x86];
    let key = key.map(|key| ("x-api-key", key.reveal()));
    let always = [
        (":path", STREAM_INVOKE),
        (":authority", "gateway"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in always.into_iter().chain(key) {
        fields.push(0);
        for text in [name, value] {
            // Longer ones have another form.
            assert!(text.len() < 127);
            fields.push(text.len().try_into().unwrap());
            fields.extend(text.as_bytes());
        }
    }
    frame(HEADERS, END_HEADERS, stream, &fields)
}

/// A connection with an open stream.
struct Shared {
    socket: TcpStream,
    next: u32,
    /// The gateway takes no new calls on it.
    leaves: bool,
}

impl Shared {
    async fn open(gateway: &Gateway, key: &Secret) -> Self {
        let body = message(0, &ask("nova").encode_to_vec());
        let window = [&[0, 4][..], &WINDOW.to_be_bytes()].concat();
        let begin = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(SETTINGS, 0, 0, &window),
            frame(WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes()),
            headers(OPEN, Some(key)),
            frame(DATA, END_STREAM, OPEN, &body),
        ];
        let mut shared = Self {
            socket: gateway.connect().await,
            next: OPEN + 2,
            leaves: false,
        };
        shared.write(&begin.concat()).await;
        shared
    }

    async fn write(&mut self, bytes: &[u8]) {
        soon(self.socket.write_all(bytes)).await.unwrap();
    }

    /// The next frame that is not for the connection itself: type, flags, stream and payload.
    async fn read(&mut self) -> (u8, u8, u32, Vec<u8>) {
        soon(async {
            loop {
                let mut head = [0; 9];
                self.socket.read_exact(&mut head).await.unwrap();
                let [a, b, c, kind, flags, stream @ ..] = head;
                let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
                self.socket.read_exact(&mut payload).await.unwrap();
                let stream = u32::from_be_bytes(stream);
                assert!(
                    (kind, stream) != (RST_STREAM, OPEN),
                    "the open stream is reset: {payload:?}"
                );
                match kind {
                    SETTINGS if flags & ACK == 0 => {
                        let ack = frame(SETTINGS, ACK, 0, &[]);
                        self.socket.write_all(&ack).await.unwrap();
                    }
                    SETTINGS => {}
                    PING if flags & ACK == 0 => {
                        let ack = frame(PING, ACK, 0, &payload);
                        self.socket.write_all(&ack).await.unwrap();
                    }
                    GOAWAY => {
                        let text = String::from_utf8_lossy(&payload[8..]);
                        assert_eq!(payload[4..8], [0; 4], "the connection is closed: {text}");
                        self.leaves = true;
                        return (kind, flags, stream, payload);
                    }
                    _ => return (kind, flags, stream, payload),
                }
            }
        })
        .await
    }

    /// Begins calls without a credential, and returns their streams when all are refused, or the
    /// connection takes no new ones.
    async fn refused(&mut self, calls: u32) -> BTreeSet<u32> {
        let streams: BTreeSet<u32> = (0..calls).map(|call| self.next + 2 * call).collect();
        self.next += 2 * calls;
        let begin: Vec<_> = streams.iter().map(|id| headers(*id, None)).collect();
        self.write(&begin.concat()).await;
        let mut waiting = streams.clone();
        while !waiting.is_empty() && !self.leaves {
            let (kind, flags, stream, _) = self.read().await;
            if kind == HEADERS && flags & END_STREAM != 0 {
                waiting.remove(&stream);
            }
        }
        streams
    }

    /// Waits until the gateway has handled all frames and the open stream continues.
    async fn continues(&mut self) {
        self.write(&frame(PING, 0, 0, b"handled?")).await;
        while !matches!(self.read().await, (PING, flags, ..) if flags & ACK != 0) {}
        while !matches!(self.read().await, (DATA, _, OPEN, _)) {}
    }
}

/// A gateway whose answers do not end while a test runs.
async fn gateway(access: Access) -> Gateway {
    Gateway::with(|config, options| {
        config.access = access;
        options.pace = paced(Duration::from_millis(20), 1_000_000);
    })
    .await
}

#[tokio::test]
async fn bodies_that_arrive_after_a_refusal_do_not_end_the_connection() {
    let key = key_of();
    let gateway = gateway(access_of(&[("team-a", &key)])).await;
    let mut shared = Shared::open(&gateway, &key).await;
    for _ in 0..125 {
        let streams = shared.refused(32).await;
        let bodies: Vec<_> = streams
            .iter()
            .map(|id| frame(DATA, END_STREAM, *id, &message(0, &[])))
            .collect();
        shared.write(&bodies.concat()).await;
    }
    shared.continues().await;
}

#[tokio::test]
async fn refused_bodies_that_never_end_are_reset() {
    let key = key_of();
    let gateway = gateway(access_of(&[("team-a", &key)])).await;
    let mut shared = Shared::open(&gateway, &key).await;
    let mut waiting = shared.refused(40).await;
    while !waiting.is_empty() {
        if let (RST_STREAM, _, stream, reason) = shared.read().await {
            assert_eq!(reason, [0; 4], "NO_ERROR");
            waiting.remove(&stream);
        }
    }
    shared.continues().await;
}

#[tokio::test]
async fn many_refused_bodies_that_never_end_replace_the_connection_and_end_no_call() {
    let key = key_of();
    let gateway = gateway(access_of(&[("team-a", &key)])).await;
    let mut shared = Shared::open(&gateway, &key).await;
    while !shared.leaves {
        let streams = shared.refused(32).await;
        // Their clients continue to send, although the streams are reset.
        let bodies: Vec<_> = streams
            .iter()
            .map(|id| frame(DATA, 0, *id, &message(0, &[])))
            .collect();
        shared.write(&bodies.concat()).await;
    }
    shared.continues().await;
}
