//! HTTP/2 frame by frame, for requests that no client library would send.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::raw::STREAM_INVOKE;
use crate::harness::soon;

// RFC 9113, section 6.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
/// Error codes.
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;

/// A connection after its preface, with settings sent.
pub(crate) struct Wire {
    reader: OwnedReadHalf,
    pub(crate) writer: OwnedWriteHalf,
    read: BytesMut,
}

/// The outcome of a flood.
#[derive(Debug)]
pub(crate) struct Flooded {
    /// The number of repetitions that the gateway accepted.
    pub(crate) taken: usize,
    /// Whether the gateway closed the connection before the flood ended.
    pub(crate) closed: bool,
    /// The error codes that it sent, by RST_STREAM and GOAWAY.
    pub(crate) errors: Vec<u32>,
}

/// A received frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Bytes,
}

impl Frame {
    /// The error code of RST_STREAM and GOAWAY.
    pub(crate) fn error(&self) -> u32 {
        let code = self.payload.get(self.payload.len().saturating_sub(4)..);
        match (self.kind, code) {
            (RST_STREAM, Some(mut code)) => code.get_u32(),
            // The code follows the last stream's ID.
            (GOAWAY, _) => (&self.payload[4..8]).get_u32(),
            _ => panic!("no error in {self:?}"),
        }
    }
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let tcp = soon(TcpStream::connect(address)).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let (reader, writer) = tcp.into_split();
        let mut wire = Self {
            reader,
            writer,
            read: BytesMut::new(),
        };
        wire.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat())
            .await;
        wire
    }

    /// Writes bytes, which the gateway must accept.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.writer.write_all(bytes)).await.unwrap();
    }

    /// Writes the same repeatedly until the gateway closes the connection or has accepted it this
    /// often.
    pub(crate) async fn flood(self, bytes: &[u8], times: usize) -> Flooded {
        let Self {
            mut reader,
            mut writer,
            mut read,
        } = self;
        let writing = async move {
            let mut taken = 0;
            while taken < times && writer.write_all(bytes).await.is_ok() {
                taken += 1;
            }
            // The connection closes in order, so that the client can still read what was written.
            let _closed = writer.shutdown().await;
            taken
        };
        let reading = async move {
            let mut frames = Vec::new();
            loop {
                while let Some(frame) = split(&mut read) {
                    // A flood of requests causes as many answers, of which tests read only these.
                    if matches!(frame.kind, GOAWAY | RST_STREAM) {
                        frames.push(frame);
                    }
                }
                match reader.read_buf(&mut read).await {
                    Ok(1..) => {}
                    Ok(0) => return (frames, false),
                    Err(_) => return (frames, true),
                }
            }
        };
        let (taken, (frames, broken)) = soon(async { tokio::join!(writing, reading) }).await;
        let errors: Vec<_> = frames.iter().map(Frame::error).collect();
        let told = frames.iter().any(|frame| frame.kind == GOAWAY);
        Flooded {
            taken,
            // A connection that is closed with unread data is reset, which may overtake the
            // message.
            closed: told || broken || taken < times,
            errors,
        }
    }

    /// The next frame. `None`: the connection is closed. Settings and pings are answered
    /// automatically.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let frame = loop {
            if let Some(frame) = split(&mut self.read) {
                break frame;
            }
            match soon(self.reader.read_buf(&mut self.read)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        };
        if matches!(frame.kind, SETTINGS | PING) && frame.flags & ACK == 0 {
            let payload = match frame.kind {
                PING => &frame.payload[..],
                _ => &[],
            };
            let answer = self::frame(frame.kind, ACK, 0, payload);
            // The gateway may have disconnected; the next read reports it.
            let _sent = self.writer.write_all(&answer).await;
        }
        Some(frame)
    }

    /// The next frame of this kind; others are skipped. `None`: the connection was closed before
    /// one arrived.
    pub(crate) async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }
}

fn split(read: &mut BytesMut) -> Option<Frame> {
    let head = read.get(..HEAD)?;
    let length = (&[0, head[0], head[1], head[2]][..]).get_u32() as usize;
    if read.len() < HEAD + length {
        return None;
    }
    let mut bytes = read.split_to(HEAD + length).freeze();
    let head = bytes.split_to(HEAD);
    Some(Frame {
        kind: head[3],
        flags: head[4],
        stream: (&head[5..]).get_u32(),
        payload: bytes,
    })
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    bytes.put_slice(&length[1..]);
    bytes.put_u8(kind);
    bytes.put_u8(flags);
    bytes.put_u32(stream);
    bytes.put_slice(payload);
    bytes.freeze()
}

/// The headers of a call of StreamInvoke, as literals without indexing (RFC 7541, section 6.2.2).
pub(crate) fn call_headers() -> Bytes {
    let mut block = BytesMut::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", STREAM_INVOKE),
        (":authority", "gateway"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        put_header(&mut block, name, value);
    }
    block.freeze()
}

/// A header of less than 127 bytes in name and value.
pub(crate) fn put_header(block: &mut BytesMut, name: &str, value: &str) {
    block.put_u8(0);
    for text in [name, value] {
        assert!(text.len() < 127, "lengths of more than 7 bits");
        block.put_u8(text.len().try_into().unwrap());
        block.put_slice(text.as_bytes());
    }
}
