//! Creates the chunks of Anthropic's Messages format from the events of ConverseStream.

use serde_json::{Value, json};

use super::{
    messages_members::{guarded, id, stop_reason, usage},
    native_answer::Used,
};
use crate::script::{Event, Script};

/// Returns the chunks of an answer. Each has the name of the event from which it was created.
pub(super) fn chunks(model_id: &str, script: Script, used: Used, has_guardrail: bool) -> Script {
    let mut chunks = Vec::new();
    // The block that has begun. This must be tracked, because Converse announces only some kinds of
    // blocks.
    let mut open = None;
    let mut stopped = String::new();
    for Event { name, payload } in script.events {
        let index = &payload["contentBlockIndex"];
        let chunk = match name {
            "messageStart" => json!({"type": "message_start", "message": {
                "model": model_id,
                "id": id(used),
                "type": "message",
                "role": "assistant",
                "content": [],
                "stop_reason": null,
                "stop_sequence": null,
                "usage": usage(used, 1),
            }}),
            "contentBlockStart" => {
                open = Some(index.clone());
                start(index, block(&payload["start"]))
            }
            "contentBlockDelta" => {
                let (block, delta) = delta(&payload["delta"]);
                if open.as_ref() != Some(index) {
                    open = Some(index.clone());
                    chunks.push(Event {
                        name: "contentBlockStart",
                        payload: start(index, block),
                    });
                }
                json!({"type": "content_block_delta", "index": index, "delta": delta})
            }
            "contentBlockStop" => json!({"type": "content_block_stop", "index": index}),
            "messageStop" => {
                stopped = payload["stopReason"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let stop_sequence = &payload["additionalModelResponseFields"]["stop_sequence"];
                json!({
                    "type": "message_delta",
                    "delta": {
                        "stop_reason": stop_reason(&stopped),
                        "stop_sequence": stop_sequence,
                    },
                    "usage": {"output_tokens": used.output},
                })
            }
            _ => last(&payload, used, has_guardrail.then_some(&stopped)),
        };
        chunks.push(Event {
            name,
            payload: chunk,
        });
    }
    Script { events: chunks }
}

/// Returns the last chunk, which contains Bedrock's metrics.
fn last(metadata: &Value, used: Used, stopped: Option<&String>) -> Value {
    let latency = &metadata["metrics"]["latencyMs"];
    let mut last = json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": {
        "inputTokenCount": used.input,
        "outputTokenCount": used.output,
        "invocationLatency": latency,
        "firstByteLatency": latency,
    }});
    if let Some(stopped) = stopped {
        guarded(&mut last, stopped, metadata.get("trace"));
    }
    last
}

fn start(index: &Value, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn block(start: &Value) -> Value {
    let tool = &start["toolUse"];
    json!({"type": "tool_use", "id": tool["toolUseId"], "name": tool["name"], "input": {}})
}

/// Converts a delta of Converse. Returns the block that begins with it, and the delta.
fn delta(delta: &Value) -> (Value, Value) {
    if let Some(text) = delta.get("text") {
        let block = json!({"type": "text", "text": ""});
        return (block, json!({"type": "text_delta", "text": text}));
    }
    if let Some(tool) = delta.get("toolUse") {
        let json = json!({"type": "input_json_delta", "partial_json": tool["input"]});
        return (block(delta), json);
    }
    let reasoning = &delta["reasoningContent"];
    let block = json!({"type": "thinking", "thinking": "", "signature": ""});
    match reasoning.get("signature") {
        Some(signature) => (
            block,
            json!({"type": "signature_delta", "signature": signature}),
        ),
        None => (
            block,
            json!({"type": "thinking_delta", "thinking": reasoning["text"]}),
        ),
    }
}
