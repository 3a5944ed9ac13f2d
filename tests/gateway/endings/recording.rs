//! Streams that a test writes frame by frame, for the emulator to replay.

use std::fs;

use bedrock_emulator::{Replay, frame};
use bedrock_grpc::pb::StreamInvokeRequest;
use bytes::BytesMut;
use serde_json::json;

use crate::harness::question;

/// The model of all recordings.
const MODEL: &str = "a.b";

/// The frames of a stream.
#[derive(Clone, Default)]
pub(super) struct Frames(BytesMut);

impl Frames {
    /// Appends an event with this JSON, which need not be valid.
    pub(super) fn event(mut self, event_type: &str, json: &str) -> Self {
        let headers = [
            (":event-type", event_type),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ];
        frame::encode(&mut self.0, &headers, json.as_bytes());
        self
    }

    pub(super) fn start(self) -> Self {
        self.event("messageStart", r#"{"role":"assistant"}"#)
    }

    /// Appends a delta of block 0, whose text is the inside of a JSON string.
    pub(super) fn text(self, text: &str) -> Self {
        let json = format!(r#"{{"contentBlockIndex":0,"delta":{{"text":"{text}"}}}}"#);
        self.event("contentBlockDelta", &json)
    }

    pub(super) fn block_stop(self, index: usize) -> Self {
        let json = format!(r#"{{"contentBlockIndex":{index}}}"#);
        self.event("contentBlockStop", &json)
    }

    pub(super) fn stop(self, reason: &str) -> Self {
        self.event("messageStop", &format!(r#"{{"stopReason":"{reason}"}}"#))
    }

    pub(super) fn metadata(self) -> Self {
        self.event(
            "metadata",
            r#"{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"metrics":{"latencyMs":4}}"#,
        )
    }
}

/// A recording of the answer to one question.
pub(super) fn of(words: &str, frames: &Frames) -> Replay {
    let folder = tempfile::tempdir().unwrap();
    let request = json!({"messages": [{"role": "user", "content": [{"text": words}]}]});
    for (name, content) in [
        (
            "request.json",
            json!({"modelId": MODEL, "body": request})
                .to_string()
                .into_bytes(),
        ),
        (
            "meta.json",
            json!({"operation": "converse-stream", "status": 200})
                .to_string()
                .into_bytes(),
        ),
        ("response.body", frames.0.to_vec()),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    Replay::load(folder.path()).unwrap()
}

/// The request of a recording, with the suffix of a fault.
pub(super) fn asking(words: &str, fault: &str) -> StreamInvokeRequest {
    StreamInvokeRequest {
        target: format!("{MODEL}{fault}"),
        input: Some(question(words)),
        ..StreamInvokeRequest::default()
    }
}
