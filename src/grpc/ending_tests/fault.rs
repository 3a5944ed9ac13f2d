//! Defines the ways in which Bedrock can end a stream, for tests.

use bytes::Bytes;
use tonic::Code;

use super::{
    http::Http,
    streams::{event, frame},
};

/// What Bedrock does after the last frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The response ends.
    End,
    /// The connection is closed before the response has ended.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing more arrives, and the connection stays open.
    Silence,
    /// The body has additional bytes, which this name selects. The response ends after them.
    Body(&'static str),
    /// Bytes arrive that violate the protocol.
    Garbage,
    /// The stream is reset (RST_STREAM) with this code.
    ResetStream(u32),
    /// The peer sends GOAWAY with this code and this last stream. Then the connection is closed, or
    /// it stays open and silent.
    GoAway { code: u32, last: u32, closes: bool },
}

/// All error codes of RFC 9113, and one that it does not define.
const CODES: [u32; 15] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0xff];
const BODIES: [&str; 9] = [
    "throttlingException",
    "internalServerException",
    "modelStreamErrorException",
    "futureException",
    "error",
    "zeros",
    "half a frame",
    "wrong checksum",
    "unreadable event",
];

impl Fault {
    pub(super) fn all(http: Http) -> Vec<Self> {
        let mut all = vec![
            Self::End,
            Self::Close,
            Self::Reset,
            Self::Silence,
            Self::Garbage,
        ];
        all.extend(BODIES.map(Self::Body));
        if http == Http::Two {
            all.extend(CODES.map(Self::ResetStream));
            for last in [0, 1, 0x7fff_ffff] {
                all.extend(CODES.map(|code| Self::GoAway {
                    code,
                    last,
                    closes: true,
                }));
            }
            all.push(Self::GoAway {
                code: 0,
                last: 1,
                closes: false,
            });
        }
        all
    }

    /// Returns whether this fault differs from others only by its code.
    pub(super) fn is_one_of_many(&self) -> bool {
        matches!(self, Self::ResetStream(_) | Self::GoAway { .. })
    }

    /// Returns the bytes that the fault adds to the body.
    pub(super) fn body(&self) -> Option<Bytes> {
        let Self::Body(name) = self else { return None };
        let last = event("messageStop", r#"{"stopReason":"end_turn"}"#);
        Some(match *name {
            "error" => frame("error", ":error-code", "InternalFailure", ""),
            "zeros" => Bytes::from_static(&[0; 20]),
            "half a frame" => last.slice(..9),
            "wrong checksum" => {
                let mut bytes = last.to_vec();
                if let Some(byte) = bytes.last_mut() {
                    *byte ^= 1;
                }
                bytes.into()
            }
            "unreadable event" => event("contentBlockDelta", r#"{"contentBlockIndex":1e400}"#),
            exception => frame(
                "exception",
                ":exception-type",
                exception,
                r#"{"message":"m"}"#,
            ),
        })
    }

    /// Returns the gRPC code of a stream that this fault ends early. `None` if several codes are
    /// possible.
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Self::End | Self::Close | Self::Reset => Some(Code::Unavailable),
            Self::Body("throttlingException") => Some(Code::ResourceExhausted),
            Self::Body("internalServerException" | "error") => Some(Code::Internal),
            Self::Body("modelStreamErrorException" | "half a frame") => Some(Code::Unavailable),
            Self::Body("zeros" | "wrong checksum" | "unreadable event") => Some(Code::DataLoss),
            Self::Body("futureException") => Some(Code::Unknown),
            // Silence ends the call at the limit for the first event, or at the deadline.
            Self::Body(_) | Self::Garbage | Self::Silence => None,
            Self::GoAway { closes: false, .. } => None,
            Self::ResetStream(_) | Self::GoAway { .. } => Some(Code::Unavailable),
        }
    }
}
