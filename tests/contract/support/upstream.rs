//! A Bedrock whose steps the test controls. It observes what the gateway reads.

use std::net::SocketAddr;

use bedrock_emulator::frame;
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

use crate::harness::soon;

/// Small, so that little is in transit between Bedrock and the gateway.
const SOCKET_BUFFER: usize = 32 << 10;

/// The head of a response with this content type.
fn head(content_type: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nx-amzn-requestid: by-hand\r\n\
         connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
}

/// A listening Bedrock. Dropping it stops it.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    exchanges: mpsc::UnboundedReceiver<Exchange>,
    accepting: JoinHandle<()>,
}

/// A call that has arrived. Only the head of the response was sent.
pub(crate) struct Exchange {
    pub(crate) tcp: TcpStream,
}

impl Upstream {
    /// Starts a Bedrock that answers with event streams.
    pub(crate) async fn start() -> Self {
        Self::answering("application/vnd.amazon.eventstream").await
    }

    /// Starts a Bedrock whose answers have this content type.
    pub(crate) async fn answering(content_type: &str) -> Self {
        let head = head(content_type);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, exchanges) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (arrived, head) = (arrived.clone(), head.clone());
                tokio::spawn(async move {
                    if let Some(exchange) = Exchange::begin(tcp, &head).await {
                        // The test may have ended.
                        let _received = arrived.send(exchange);
                    }
                });
            }
        });
        Self {
            address,
            exchanges,
            accepting,
        }
    }

    pub(crate) fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next call.
    pub(crate) async fn exchange(&mut self) -> Exchange {
        soon(self.exchanges.recv()).await.unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Exchange {
    /// Reads the request, answers with headers. `None`: the gateway closed the call.
    async fn begin(mut tcp: TcpStream, response_head: &str) -> Option<Self> {
        tcp.set_nodelay(true).ok()?;
        socket2::SockRef::from(&tcp)
            .set_send_buffer_size(SOCKET_BUFFER)
            .ok()?;
        let mut read = BytesMut::new();
        let body_at = loop {
            if tcp.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
            if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = String::from_utf8_lossy(&read[..body_at]).to_lowercase();
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
        while read.len() < body_at + length {
            if tcp.read_buf(&mut read).await.ok()? == 0 {
                return None;
            }
        }
        tcp.write_all(response_head.as_bytes()).await.ok()?;
        Some(Self { tcp })
    }

    /// Sends one event.
    pub(crate) async fn send(&mut self, event_type: &str, payload: Value) {
        soon(self.tcp.write_all(&event(event_type, payload)))
            .await
            .unwrap();
    }

    /// Sends the whole body of a response that is not a stream, as far as the gateway reads it.
    pub(crate) async fn answer(mut self, body: &str) {
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let _sent = soon(self.tcp.write_all(chunks.as_bytes())).await;
    }

    /// Sends one token.
    pub(crate) async fn token(&mut self, text: &str) {
        self.send("contentBlockDelta", token(text)).await;
    }

    /// Sends one token. Fails if the gateway has closed the call.
    pub(crate) async fn try_token(&mut self, text: &str) -> std::io::Result<()> {
        self.try_send("contentBlockDelta", token(text)).await
    }

    /// Sends one event. Fails if the gateway has closed the call.
    pub(crate) async fn try_send(
        &mut self,
        event_type: &str,
        payload: Value,
    ) -> std::io::Result<()> {
        soon(self.tcp.write_all(&event(event_type, payload))).await
    }

    /// Sends the end of the answer and of the response.
    pub(crate) async fn finish(mut self) {
        self.send("contentBlockStop", json!({"contentBlockIndex": 0}))
            .await;
        self.send("messageStop", json!({"stopReason": "end_turn"}))
            .await;
        let usage = json!({"inputTokens": 1, "outputTokens": 1, "totalTokens": 2});
        self.send(
            "metadata",
            json!({"usage": usage, "metrics": {"latencyMs": 1}}),
        )
        .await;
        soon(self.tcp.write_all(b"0\r\n\r\n")).await.unwrap();
    }

    /// Waits until the gateway closes the call.
    pub(crate) async fn closed(&mut self) {
        let mut byte = [0];
        // A reset counts as an end, too.
        let read = soon(self.tcp.read(&mut byte)).await;
        assert!(matches!(read, Ok(0) | Err(_)), "the gateway spoke");
    }

    /// Sends tokens of a KiB as fast as the gateway reads them, until it closes the call.
    pub(crate) async fn flood(&mut self, progress: impl Fn(usize)) {
        let (mut reader, mut writer) = self.tcp.split();
        let start = event("messageStart", json!({"role": "assistant"}));
        let more = event("contentBlockDelta", token(&"x".repeat(1 << 10)));
        let writing = async {
            let mut next = &start;
            while writer.write_all(next).await.is_ok() {
                progress(next.len());
                next = &more;
            }
        };
        let mut byte = [0];
        tokio::select! {
            () = writing => {}
            _end = reader.read(&mut byte) => {}
        }
    }
}

fn token(text: &str) -> Value {
    json!({"contentBlockIndex": 0, "delta": {"text": text}})
}

/// A frame in a separate chunk.
fn event(event_type: &str, payload: Value) -> Bytes {
    let Value::Object(members) = payload else {
        return chunk(event_type, Map::new());
    };
    chunk(event_type, members)
}

fn chunk(event_type: &str, members: Map<String, Value>) -> Bytes {
    let mut encoded = BytesMut::new();
    frame::event(&mut encoded, event_type, members);
    [
        format!("{:x}\r\n", encoded.len()).as_bytes(),
        &encoded,
        b"\r\n",
    ]
    .concat()
    .into()
}
