//! The emulator's brain: a Converse request in, a script of events out. Pure.

use serde_json::{Value, json};

use super::script::{ApiError, Event, Script};

/// Answers a Converse request body for a model.
///
/// # Errors
/// What Bedrock answers to bad input.
pub fn answer(_model_id: &str, request: &Value) -> Result<Script, ApiError> {
    let prompt = request["messages"][0]["content"][0]["text"]
        .as_str()
        .ok_or_else(|| ApiError::validation("messages: no text"))?;
    let event = |name, payload| Event { name, payload };
    Ok(Script {
        events: vec![
            event("messageStart", json!({"role": "assistant"})),
            event(
                "contentBlockDelta",
                json!({"contentBlockIndex": 0, "delta": {"text": prompt}}),
            ),
            event("contentBlockStop", json!({"contentBlockIndex": 0})),
            event("messageStop", json!({"stopReason": "end_turn"})),
            event(
                "metadata",
                json!({"usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}, "metrics": {"latencyMs": 1}}),
            ),
        ],
    })
}
