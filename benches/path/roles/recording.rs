//! The answers that the emulator replays: tokens of text.

use std::{fs, io};

use bedrock_emulator::{Replay, frame};
use bytes::BytesMut;
use serde_json::{Map, Value, json};

use crate::question;

/// About the length of a token.
const WORDS: [&str; 8] = [
    "The",
    " sky",
    " is",
    " blue",
    " because",
    " air",
    " scatters",
    " light.",
];

/// Returns two recordings: [`question::LONG`] with an answer of this length, and
/// [`question::SILENT`] with an empty answer.
///
/// # Errors
/// Fails if the temporary folder cannot be written.
pub(super) fn of(tokens: usize) -> io::Result<Replay> {
    let all = tempfile::tempdir()?;
    for (name, prompt, tokens) in [
        ("long", question::LONG, tokens),
        ("silent", question::SILENT, 0),
    ] {
        let body: Value = serde_json::from_str(&question::body(prompt))?;
        let request = json!({"modelId": question::MODEL, "body": body});
        let meta = json!({"operation": "converse-stream", "status": 200});
        let folder = all.path().join(name);
        fs::create_dir(&folder)?;
        fs::write(folder.join("request.json"), request.to_string())?;
        fs::write(folder.join("meta.json"), meta.to_string())?;
        fs::write(folder.join("response.body"), answer(tokens))?;
    }
    Replay::load(all.path())
}

fn answer(tokens: usize) -> BytesMut {
    let mut out = BytesMut::new();
    let mut event = |event_type: &str, payload: Value| {
        let payload: Map<String, Value> = serde_json::from_value(payload).unwrap_or_default();
        frame::event(&mut out, event_type, payload);
    };
    event("messageStart", json!({"role": "assistant"}));
    for word in WORDS.into_iter().cycle().take(tokens) {
        event(
            "contentBlockDelta",
            json!({"contentBlockIndex": 0, "delta": {"text": word}}),
        );
    }
    event("contentBlockStop", json!({"contentBlockIndex": 0}));
    event("messageStop", json!({"stopReason": "end_turn"}));
    event(
        "metadata",
        json!({
            "usage": {"inputTokens": 12, "outputTokens": tokens, "totalTokens": tokens + 12},
            "metrics": {"latencyMs": 250},
        }),
    );
    out
}
