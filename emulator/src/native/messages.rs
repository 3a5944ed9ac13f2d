//! Implements Anthropic's Messages format: converts a body to a Converse request, and the Converse
//! answer to a Messages answer.

use http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{
    messages_members::{guarded, id, stop_reason, usage},
    messages_stream,
    native_answer::{NativeAnswer, Used, malformed},
};
use crate::{
    answer as brain, fold, length,
    script::{ApiError, Script},
};

const VERSION: &str = "bedrock-2023-05-31";

/// A body that was converted to a Converse request.
struct Asked {
    converse: Value,
    max_tokens: u64,
    has_guardrail: bool,
}

fn read(headers: &HeaderMap, request: &Value) -> Result<Asked, ApiError> {
    let required = |name: &str| {
        let value = request.get(name).filter(|value| !value.is_null());
        value.ok_or_else(|| ApiError::validation(format!("{name}: Field required")))
    };
    if required("anthropic_version")? != VERSION {
        let text = format!("anthropic_version: Input should be '{VERSION}'");
        return Err(ApiError::validation(text));
    }
    let max_tokens = required("max_tokens")?
        .as_u64()
        .filter(|tokens| *tokens > 0)
        .ok_or_else(|| {
            ApiError::validation("max_tokens: Input should be greater than or equal to 1")
        })?;
    let messages = required("messages")?;
    let mut converse = json!({
        "messages": items(messages, "messages")?
            .iter()
            .map(message)
            .collect::<Result<Vec<_>, _>>()?,
        "inferenceConfig": inference(request, max_tokens),
    });
    if let Some(system) = request.get("system") {
        converse["system"] = content(system)?;
    }
    if let Some(tools) = request.get("tools") {
        converse["toolConfig"] =
            json!({"tools": items(tools, "tools")?.iter().map(tool).collect::<Vec<_>>()});
        if let Some(choice) = request.get("tool_choice") {
            converse["toolConfig"]["toolChoice"] = tool_choice(choice);
        }
    }
    let has_guardrail = guard(headers, &mut converse);
    Ok(Asked {
        converse,
        max_tokens,
        has_guardrail,
    })
}

pub(super) fn answer(
    model_id: &str,
    headers: &HeaderMap,
    request: &Value,
) -> Result<NativeAnswer, ApiError> {
    let asked = read(headers, request)?;
    let script = brain::answer(model_id, &asked.converse)?;
    let answer = fold::fold(script);
    let used = used(&answer["usage"], asked.max_tokens);
    let stopped = answer["stopReason"].as_str().unwrap_or_default();
    let mut body = json!({
        "model": model_id,
        "id": id(used),
        "type": "message",
        "role": "assistant",
        "content": answered(&answer["output"]["message"]["content"]),
        "stop_reason": stop_reason(stopped),
        "stop_sequence": answer["additionalModelResponseFields"]["stop_sequence"],
        "usage": usage(used, used.output),
    });
    if asked.has_guardrail {
        guarded(&mut body, stopped, answer.get("trace"));
    }
    Ok(NativeAnswer {
        body,
        used,
        reports_tokens: true,
    })
}

pub(super) fn stream(
    model_id: &str,
    headers: &HeaderMap,
    request: &Value,
    tokens: Option<usize>,
) -> Result<(Script, Used), ApiError> {
    let asked = read(headers, request)?;
    let mut script = brain::answer(model_id, &asked.converse)?;
    if let Some(tokens) = tokens {
        length::set(&mut script, tokens, &asked.converse);
    }
    let metadata = script.events.iter().rfind(|event| event.name == "metadata");
    let usage = metadata.map(|event| event.payload["usage"].clone());
    let used = used(&usage.unwrap_or_default(), asked.max_tokens);
    let chunks = messages_stream::chunks(model_id, script, used, asked.has_guardrail);
    Ok((chunks, used))
}

fn used(usage: &Value, max_tokens: u64) -> Used {
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    Used {
        input: count("inputTokens"),
        output: count("outputTokens"),
        max_tokens,
    }
}

/// Adds the guardrail that the headers name. Returns whether they name one.
fn guard(headers: &HeaderMap, converse: &mut Value) -> bool {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let (Some(identifier), Some(version)) = (
        header("x-amzn-bedrock-guardrailidentifier"),
        header("x-amzn-bedrock-guardrailversion"),
    ) else {
        return false;
    };
    let trace = header("x-amzn-bedrock-trace").unwrap_or("DISABLED");
    converse["guardrailConfig"] = json!({
        "guardrailIdentifier": identifier,
        "guardrailVersion": version,
        "trace": trace.to_ascii_lowercase(),
    });
    true
}

fn inference(request: &Value, max_tokens: u64) -> Value {
    let names = [
        ("temperature", "temperature"),
        ("top_p", "topP"),
        ("stop_sequences", "stopSequences"),
    ];
    let mut config = Map::new();
    config.insert("maxTokens".to_owned(), max_tokens.into());
    for (theirs, ours) in names {
        if let Some(value) = request.get(theirs) {
            config.insert(ours.to_owned(), value.clone());
        }
    }
    Value::Object(config)
}

fn items<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>, ApiError> {
    let items = value.as_array();
    items.ok_or_else(|| ApiError::validation(format!("{name}: Input should be a valid list")))
}

fn message(message: &Value) -> Result<Value, ApiError> {
    Ok(json!({"role": message["role"], "content": content(&message["content"])?}))
}

/// Converts a text or a list of Anthropic's blocks to Converse's content blocks.
fn content(content: &Value) -> Result<Value, ApiError> {
    match content {
        Value::String(text) => Ok(json!([{"text": text}])),
        Value::Array(blocks) => blocks.iter().map(block).collect(),
        _ => Err(malformed("content: expected a string or a list")),
    }
}

fn block(block: &Value) -> Result<Value, ApiError> {
    let kind = block["type"].as_str().unwrap_or_default();
    Ok(match kind {
        "text" => json!({"text": block["text"]}),
        "image" => {
            let media_type = block["source"]["media_type"].as_str().unwrap_or_default();
            let format = media_type.strip_prefix("image/").unwrap_or(media_type);
            json!({"image": {"format": format, "source": {"bytes": block["source"]["data"]}}})
        }
        "tool_use" => json!({"toolUse": {
            "toolUseId": block["id"],
            "name": block["name"],
            "input": block["input"],
        }}),
        "tool_result" => {
            let result = match &block["content"] {
                Value::Null => json!([]),
                other => content(other)?,
            };
            json!({"toolResult": {"toolUseId": block["tool_use_id"], "content": result}})
        }
        _ => {
            let text = format!("content: the emulator does not have blocks of the type {kind:?}");
            return Err(ApiError::validation(text));
        }
    })
}

fn tool(tool: &Value) -> Value {
    let mut spec = json!({
        "name": tool["name"],
        "inputSchema": {"json": tool["input_schema"]},
    });
    if let Some(description) = tool.get("description") {
        spec["description"] = description.clone();
    }
    json!({"toolSpec": spec})
}

fn tool_choice(choice: &Value) -> Value {
    match choice["type"].as_str() {
        Some("tool") => json!({"tool": {"name": choice["name"]}}),
        Some("any") => json!({"any": {}}),
        _ => json!({"auto": {}}),
    }
}

/// Converts Converse's content blocks to Anthropic's.
fn answered(content: &Value) -> Value {
    let blocks = content.as_array().map_or(&[][..], Vec::as_slice);
    let blocks = blocks.iter().filter_map(|block| {
        if let Some(text) = block.get("text") {
            return Some(json!({"type": "text", "text": text}));
        }
        let tool = block.get("toolUse")?;
        Some(json!({
            "type": "tool_use",
            "id": tool["toolUseId"],
            "name": tool["name"],
            "input": tool["input"],
        }))
    });
    blocks.collect()
}
