//! Implements `additionalModelResponseFieldPaths`, which returns members of the model's native
//! response.

use serde_json::{Map, Value, json};

use super::{
    draft::{Block, Draft, Piece},
    json::list,
    request::Request,
};

/// Returns `messageStop.additionalModelResponseFields`. `None` if no path was requested, or if no
/// path leads to a value.
pub(super) fn additional(request: &Request<'_>, draft: &Draft, usage: &Value) -> Option<Value> {
    let paths = list(request.body, "additionalModelResponseFieldPaths");
    let native = (!paths.is_empty()).then(|| native(request, draft, usage))?;
    let mut found = Value::Object(Map::new());
    for path in paths.iter().filter_map(Value::as_str) {
        if let Some(value) = native.pointer(path) {
            place(&mut found, path, value);
        }
    }
    found
        .as_object()
        .is_some_and(|members| !members.is_empty())
        .then_some(found)
}

/// Returns the model's native response, in the format of Claude's messages.
fn native(request: &Request<'_>, draft: &Draft, usage: &Value) -> Value {
    let content: Vec<Value> = draft.blocks.iter().map(block).collect();
    json!({
        "type": "message",
        "role": "assistant",
        "model": request.model_id,
        "content": content,
        "stop_reason": draft.stop_reason,
        "stop_sequence": draft.stop_sequence,
        "usage": {"input_tokens": usage["inputTokens"], "output_tokens": usage["outputTokens"]},
    })
}

fn block(block: &Block) -> Value {
    let joined =
        |of: fn(&Piece) -> Option<&str>| block.pieces.iter().filter_map(of).collect::<String>();
    if let Some(start) = block.start.as_ref().and_then(|start| start.get("toolUse")) {
        let input = joined(|piece| match piece {
            Piece::ToolInput(input) => Some(input),
            _ => None,
        });
        let input: Value = serde_json::from_str(&input).unwrap_or(Value::String(input));
        return json!({"type": "tool_use", "id": start["toolUseId"], "name": start["name"], "input": input});
    }
    let thinking = joined(|piece| match piece {
        Piece::Reasoning(text) => Some(text),
        _ => None,
    });
    let text = joined(|piece| match piece {
        Piece::Text(text) => Some(text),
        _ => None,
    });
    match thinking.is_empty() {
        true => json!({"type": "text", "text": text}),
        false => json!({"type": "thinking", "thinking": thinking}),
    }
}

/// Inserts a value at a path. If the path contains the index of a list, an object with the index as
/// its member replaces the list, because the other items were not requested.
fn place(found: &mut Value, path: &str, value: &Value) {
    let mut at = found;
    for name in path.split('/').skip(1) {
        let name = name.replace("~1", "/").replace("~0", "~");
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[name];
    }
    *at = value.clone();
}
