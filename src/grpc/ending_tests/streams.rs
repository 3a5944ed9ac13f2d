//! Creates the streams of the tests, as frames.

use std::{env, fs, path::Path};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;

/// The maximum size of a stream. A larger one would need a peer that waits for window updates.
const MAX_BYTES: usize = 100 << 10;

/// A stream from Bedrock.
pub(super) struct Stream {
    pub(super) name: String,
    frames: Vec<Bytes>,
    /// The number of frames up to and including `messageStop`.
    complete_at: usize,
}

/// Encodes an event with AWS's own encoder.
pub(super) fn frame(message_type: &str, name_header: &str, name: &str, payload: &str) -> Bytes {
    let header = |name: &str, value: &str| {
        Header::new(
            name.to_owned(),
            HeaderValue::String(value.to_owned().into()),
        )
    };
    let message = Message::new(Bytes::copy_from_slice(payload.as_bytes()))
        .add_header(header(":message-type", message_type))
        .add_header(header(name_header, name));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes.into()
}

pub(super) fn event(name: &str, payload: &str) -> Bytes {
    frame("event", ":event-type", name, payload)
}

impl Stream {
    pub(super) fn of(name: &str, events: &[(&str, &str)]) -> Self {
        let frames = events.iter().map(|(name, payload)| event(name, payload));
        Self {
            name: name.to_owned(),
            frames: frames.collect(),
            complete_at: 1 + events
                .iter()
                .position(|(name, _)| *name == "messageStop")
                .unwrap(),
        }
    }

    /// Returns the stream `messageStart`, one delta, the end of its block, `messageStop`,
    /// `metadata`.
    pub(super) fn short() -> Self {
        Self::of("short", &[START, TEXT, STOP, END, METADATA])
    }

    /// Returns streams with every kind of block, early metadata, unknown events, and characters
    /// that are split between two deltas.
    pub(super) fn generated() -> Vec<Self> {
        let tool = (
            "contentBlockStart",
            r#"{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t","name":"n"}}}"#,
        );
        let input = (
            "contentBlockDelta",
            r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"a\":1}"}}}"#,
        );
        let stop = ("contentBlockStop", r#"{"contentBlockIndex":1}"#);
        let high = (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"text":"a\ud83d"}}"#,
        );
        let low = (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"text":"\ude00b"}}"#,
        );
        let thought = (
            "contentBlockDelta",
            r#"{"contentBlockIndex":2,"delta":{"reasoningContent":{"text":"hm"}}}"#,
        );
        let unknown = ("futureEvent", r#"{"a":1}"#);
        vec![
            Self::of("early metadata", &[START, TEXT, STOP, METADATA, END]),
            Self::of("metadata first", &[METADATA, START, TEXT, STOP, END]),
            Self::of(
                "metadata twice",
                &[START, METADATA, TEXT, STOP, END, METADATA],
            ),
            Self::of("no blocks", &[START, END, METADATA]),
            Self::of("no stop", &[START, TEXT, END, METADATA]),
            Self::of("nothing else", &[END]),
            Self::of("twice", &[START, TEXT, END, METADATA, START, TEXT, END]),
            Self::of(
                "delta after the end",
                &[START, TEXT, END, TEXT, STOP, METADATA],
            ),
            Self::of(
                "unknown",
                &[START, unknown, TEXT, END, unknown, METADATA, unknown],
            ),
            Self::of("halves", &[START, high, low, high, STOP, END, METADATA]),
            Self::of("half at the end", &[START, high, END, METADATA]),
            Self::of(
                "tool",
                &[START, TEXT, STOP, tool, input, stop, END, METADATA],
            ),
            Self::of(
                "overlapping",
                &[
                    START, TEXT, tool, thought, TEXT, input, high, thought, low, stop, STOP, END,
                    METADATA,
                ],
            ),
        ]
    }

    /// Returns the streams in `BEDROCK_GRPC_RECORDED`.
    pub(super) fn recorded() -> Vec<Self> {
        let folder = env::var_os("BEDROCK_GRPC_RECORDED").unwrap();
        let cases = fs::read_dir(Path::new(&folder).join("stream")).unwrap();
        let mut cases: Vec<_> = cases.map(|case| case.unwrap().path()).collect();
        cases.sort();
        let streams = cases.iter().map(|case| {
            let bytes = fs::read(case.join("response.body")).unwrap();
            let frames = split(bytes.into());
            let is_stop = |frame: &Bytes| frame.windows(11).any(|bytes| bytes == b"messageStop");
            Self {
                name: case.file_name().unwrap().to_string_lossy().into_owned(),
                complete_at: 1 + frames.iter().position(is_stop).unwrap(),
                frames,
            }
        });
        streams
            .filter(|stream| stream.frames.iter().map(Bytes::len).sum::<usize>() < MAX_BYTES)
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Returns the first frames.
    pub(super) fn frames(&self, count: usize) -> &[Bytes] {
        &self.frames[..count]
    }

    /// Returns whether the first frames are a complete answer.
    pub(super) fn is_complete(&self, count: usize) -> bool {
        count >= self.complete_at
    }
}

fn split(mut bytes: Bytes) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[..4].try_into().unwrap());
        frames.push(bytes.split_to(length as usize));
    }
    frames
}

const START: (&str, &str) = ("messageStart", r#"{"role":"assistant"}"#);
const TEXT: (&str, &str) = (
    "contentBlockDelta",
    r#"{"contentBlockIndex":0,"delta":{"text":"Hello"}}"#,
);
const STOP: (&str, &str) = ("contentBlockStop", r#"{"contentBlockIndex":0}"#);
const END: (&str, &str) = ("messageStop", r#"{"stopReason":"end_turn"}"#);
const METADATA: (&str, &str) = (
    "metadata",
    r#"{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"metrics":{"latencyMs":4}}"#,
);
