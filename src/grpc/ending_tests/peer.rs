//! Simulates a Bedrock in memory that writes the same bytes in different groups.

use std::{io, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::{
    mpsc::{UnboundedReceiver, WeakUnboundedSender},
    oneshot,
};

use super::{fault::Fault, http::Http};
use crate::bedrock::memory::PeerEnd;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\n\
    x-amzn-requestid: request-1\r\ntransfer-encoding: chunked\r\n\r\n";
const PREFACE: usize = 24;
/// The maximum size of an HTTP/2 frame, unless the peer raises SETTINGS_MAX_FRAME_SIZE.
const MAX_DATA: usize = 16_384;
const STREAM: u32 = 1;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The pauses to draw from, in milliseconds.
const PAUSES: [u64; 8] = [0, 0, 1, 5, 20, 40, 90, 400];

/// The pause between two groups of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spacing {
    /// There is no pause: the next group is available as soon as the previous one was read.
    None,
    /// Other tasks run before the next group.
    Yield,
    /// All other tasks become idle before the next group.
    Pause,
    /// A pause of this length.
    Long(Duration),
    /// Pauses of different lengths, drawn at random with this seed.
    Drawn(u64),
}

/// What happens to the connection after the last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    StaysOpen,
    Closes,
    IsReset,
}

/// The bytes of a response in pieces: the headers, each frame, the fault.
pub(super) struct Script {
    http: Http,
    pieces: Vec<Bytes>,
    last: Last,
}

/// A script whose pieces are combined into groups.
#[derive(Clone)]
pub(super) struct Played {
    pub(super) http: Http,
    groups: Vec<Bytes>,
    spacing: Spacing,
    last: Last,
}

impl Script {
    pub(super) fn new(http: Http, frames: &[Bytes], fault: &Fault) -> Self {
        let mut pieces = vec![head(http)];
        pieces.extend(frames.iter().map(|frame| body(http, frame)));
        let mut last = Last::StaysOpen;
        match fault {
            Fault::End => pieces.push(end(http)),
            Fault::Body(_) => {
                pieces.extend(fault.body().map(|bytes| body(http, &bytes)));
                pieces.push(end(http));
            }
            Fault::Close => last = Last::Closes,
            Fault::Reset => last = Last::IsReset,
            Fault::Silence => {}
            Fault::Garbage => {
                // This is a chunk without a length, or padding that is longer than its frame.
                pieces.push(match http {
                    Http::One => Bytes::from_static(b"zz\r\n"),
                    Http::Two => http2_frame(DATA, 8, STREAM, &[200, 0]),
                });
                last = Last::Closes;
            }
            Fault::ResetStream(code) => {
                pieces.push(http2_frame(RST_STREAM, 0, STREAM, &code.to_be_bytes()));
            }
            Fault::GoAway {
                code,
                last: stream,
                closes,
            } => {
                let payload = [stream.to_be_bytes(), code.to_be_bytes()].concat();
                pieces.push(http2_frame(GOAWAY, 0, 0, &payload));
                if *closes {
                    last = Last::Closes;
                }
            }
        }
        Self { http, pieces, last }
    }

    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Combines the pieces into groups. `mask` has one bit for each gap between pieces. If the bit
    /// is set, the gap separates two groups.
    pub(super) fn grouped(&self, mask: u64, spacing: Spacing) -> Played {
        let mut groups: Vec<BytesMut> = Vec::new();
        for (index, piece) in self.pieces.iter().enumerate() {
            let separate = index == 0 || mask.rotate_right(index as u32 - 1) & 1 == 1;
            match groups.last_mut() {
                Some(group) if !separate => group.extend_from_slice(piece),
                _ => groups.push(BytesMut::from(&piece[..])),
            }
        }
        Played {
            http: self.http,
            groups: groups.into_iter().map(BytesMut::freeze).collect(),
            spacing,
            last: self.last,
        }
    }
}

impl Played {
    /// Answers the first request of a connection.
    pub(super) async fn serve(self, peer: PeerEnd) {
        let PeerEnd { received, sender } = peer;
        let (asked, request) = oneshot::channel();
        match self.http {
            Http::One => {
                tokio::spawn(read_http1(received, asked));
            }
            Http::Two => {
                let _sent = sender.send(Ok(http2_frame(SETTINGS, 0, 0, &[])));
                tokio::spawn(read_http2(received, sender.downgrade(), asked));
            }
        }
        if request.await.is_err() {
            return;
        }
        let seed = match self.spacing {
            Spacing::Drawn(seed) => seed,
            _ => 0,
        };
        let mut random = fastrand::Rng::with_seed(seed);
        for (number, group) in self.groups.into_iter().enumerate() {
            if number > 0 {
                match self.spacing {
                    Spacing::None => {}
                    Spacing::Yield => {
                        for _ in 0..4 {
                            tokio::task::yield_now().await;
                        }
                    }
                    Spacing::Pause => tokio::time::sleep(Duration::from_millis(50)).await,
                    Spacing::Long(time) => tokio::time::sleep(time).await,
                    Spacing::Drawn(_) => {
                        let pause = random.choice(PAUSES).unwrap_or_default();
                        tokio::time::sleep(Duration::from_millis(pause)).await;
                    }
                }
            }
            let _sent = sender.send(Ok(group));
        }
        match self.last {
            Last::Closes => {}
            Last::IsReset => {
                let _sent = sender.send(Err(io::ErrorKind::ConnectionReset.into()));
            }
            // Waits until the gateway closes the connection.
            Last::StaysOpen => sender.closed().await,
        }
    }
}

/// Reads a request to its end, and then discards all further bytes.
async fn read_http1(mut received: UnboundedReceiver<Bytes>, asked: oneshot::Sender<()>) {
    let mut read = BytesMut::new();
    let mut asked = Some(asked);
    while let Some(bytes) = received.recv().await {
        read.extend_from_slice(&bytes);
        let Some(head) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            continue;
        };
        let text = String::from_utf8_lossy(&read[..head]).to_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        if read.len() >= head + 4 + length
            && let Some(asked) = asked.take()
        {
            let _waited = asked.send(());
        }
    }
}

/// Acknowledges settings and pings, and reports the end of the request. Holds only a weak sender,
/// which does not keep the connection open.
async fn read_http2(
    mut received: UnboundedReceiver<Bytes>,
    acks: WeakUnboundedSender<io::Result<Bytes>>,
    asked: oneshot::Sender<()>,
) {
    let mut read = BytesMut::new();
    let mut preface = PREFACE;
    let mut asked = Some(asked);
    while let Some(bytes) = received.recv().await {
        read.extend_from_slice(&bytes);
        let skipped = preface.min(read.len());
        drop(read.split_to(skipped));
        preface -= skipped;
        while preface == 0 && read.len() >= 9 {
            let length = u32::from_be_bytes([0, read[0], read[1], read[2]]) as usize;
            if read.len() < 9 + length {
                break;
            }
            let frame = read.split_to(9 + length);
            let (kind, flags) = (frame[3], frame[4]);
            let acknowledged = match kind {
                SETTINGS if flags & ACK == 0 => Some(http2_frame(SETTINGS, ACK, 0, &[])),
                PING if flags & ACK == 0 => Some(http2_frame(PING, ACK, 0, &frame[9..])),
                _ => None,
            };
            if let (Some(frame), Some(sender)) = (acknowledged, acks.upgrade()) {
                let _sent = sender.send(Ok(frame));
            }
            if matches!(kind, DATA | HEADERS)
                && flags & END_STREAM == END_STREAM
                && let Some(asked) = asked.take()
            {
                let _waited = asked.send(());
            }
        }
    }
}

fn head(http: Http) -> Bytes {
    if http == Http::One {
        return Bytes::from_static(HEAD);
    }
    // `:status: 200` is indexed, and the name `content-type` is in the static table. All other text
    // is literal.
    let mut fields = BytesMut::from(&[0x88, 0x0f, 0x10][..]);
    let mut literal = |text: &str| {
        fields.put_u8(u8::try_from(text.len()).unwrap());
        fields.put_slice(text.as_bytes());
    };
    literal("application/vnd.amazon.eventstream");
    fields.put_u8(0);
    let mut literal = |text: &str| {
        fields.put_u8(u8::try_from(text.len()).unwrap());
        fields.put_slice(text.as_bytes());
    };
    literal("x-amzn-requestid");
    literal("request-1");
    http2_frame(HEADERS, END_HEADERS, STREAM, &fields)
}

fn body(http: Http, bytes: &[u8]) -> Bytes {
    match http {
        Http::One => [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"]
            .concat()
            .into(),
        Http::Two => {
            let frames = bytes.chunks(MAX_DATA);
            let frames = frames.map(|data| http2_frame(DATA, 0, STREAM, data));
            frames.collect::<Vec<_>>().concat().into()
        }
    }
}

fn end(http: Http) -> Bytes {
    match http {
        Http::One => Bytes::from_static(b"0\r\n\r\n"),
        Http::Two => http2_frame(DATA, END_STREAM, STREAM, &[]),
    }
}

fn http2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(9 + payload.len());
    frame.put_uint(payload.len() as u64, 3);
    frame.put_u8(kind);
    frame.put_u8(flags);
    frame.put_u32(stream);
    frame.put_slice(payload);
    frame.freeze()
}
