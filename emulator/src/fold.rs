//! Converts answers between a script of stream events and Converse's JSON.

use serde_json::{Map, Value, json};

use super::script::{Event, Script};

/// Combines a script into the JSON of Converse's answer.
pub(super) fn fold(script: Script) -> Value {
    let mut answer = Map::new();
    let mut message = json!({"role": "assistant", "content": []});
    let mut blocks: Vec<(Value, Block)> = Vec::new();
    for Event { name, mut payload } in script.events {
        let index = take(&mut payload, "contentBlockIndex");
        match name {
            "messageStart" => message["role"] = take(&mut payload, "role"),
            "contentBlockStart" => blocks.push((index, Block::start(take(&mut payload, "start")))),
            "contentBlockDelta" => {
                let delta = take(&mut payload, "delta");
                match blocks.iter_mut().find(|(known, _)| *known == index) {
                    Some((_, block)) => block.add(delta),
                    None => {
                        let mut block = Block::default();
                        block.add(delta);
                        blocks.push((index, block));
                    }
                }
            }
            "messageStop" | "metadata" => {
                if let Value::Object(members) = payload {
                    answer.extend(members);
                }
            }
            _ => {}
        }
    }
    let content = blocks.into_iter().filter_map(|(_, block)| block.finish());
    message["content"] = content.collect();
    answer.insert("output".to_owned(), json!({"message": message}));
    Value::Object(answer)
}

/// A content block that is built from its deltas.
#[derive(Default)]
struct Block {
    start: Map<String, Value>,
    text: Option<String>,
    tool_input: String,
    tool_result: Vec<Value>,
    reasoning: Option<String>,
    signature: Option<Value>,
    redacted: Option<Value>,
    citations: Vec<Value>,
    image: Map<String, Value>,
}

impl Block {
    fn start(start: Value) -> Self {
        let start = match start {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        Self {
            start,
            ..Self::default()
        }
    }

    fn add(&mut self, delta: Value) {
        let Value::Object(members) = delta else {
            return;
        };
        for (kind, mut value) in members {
            match kind.as_str() {
                "text" => append(&mut self.text, &value),
                "toolUse" => self
                    .tool_input
                    .push_str(value["input"].as_str().unwrap_or_default()),
                "toolResult" => {
                    if let Value::Array(content) = value {
                        self.tool_result.extend(content);
                    }
                }
                "reasoningContent" => {
                    if value.get("text").is_some() {
                        append(&mut self.reasoning, &value["text"]);
                    }
                    self.signature = present(&mut value, "signature").or(self.signature.take());
                    self.redacted = present(&mut value, "redactedContent").or(self.redacted.take());
                }
                "citation" => self.citations.push(value),
                "image" => {
                    if let Value::Object(members) = value {
                        self.image.extend(members);
                    }
                }
                _ => {}
            }
        }
    }

    fn finish(mut self) -> Option<Value> {
        if let Some(Value::Object(mut tool)) = self.start.remove("toolUse") {
            // Tool input is not JSON if `maxTokens` truncated it. It then stays a string.
            let empty = self.tool_input.is_empty();
            let input = if empty {
                Ok(json!({}))
            } else {
                serde_json::from_str(&self.tool_input)
            };
            let input = input.unwrap_or(Value::String(self.tool_input));
            tool.insert("input".to_owned(), input);
            return Some(json!({"toolUse": tool}));
        }
        if let Some(Value::Object(mut result)) = self.start.remove("toolResult") {
            result.insert("content".to_owned(), Value::Array(self.tool_result));
            return Some(json!({"toolResult": result}));
        }
        if let Some(Value::Object(mut image)) = self.start.remove("image") {
            image.extend(self.image);
            return Some(json!({"image": image}));
        }
        if let Some(redacted) = self.redacted {
            return Some(json!({"reasoningContent": {"redactedContent": redacted}}));
        }
        if self.reasoning.is_some() || self.signature.is_some() {
            let mut text = json!({"text": self.reasoning.unwrap_or_default()});
            if let Some(signature) = self.signature {
                text["signature"] = signature;
            }
            return Some(json!({"reasoningContent": {"reasoningText": text}}));
        }
        let text = self.text?;
        if self.citations.is_empty() {
            return Some(json!({"text": text}));
        }
        Some(
            json!({"citationsContent": {"content": [{"text": text}], "citations": self.citations}}),
        )
    }
}

fn append(text: &mut Option<String>, more: &Value) {
    text.get_or_insert_default()
        .push_str(more.as_str().unwrap_or_default());
}

/// Removes a member from an object and returns it. `None` if the value is not an object or has no
/// such member.
fn present(value: &mut Value, name: &str) -> Option<Value> {
    value.as_object_mut()?.remove(name)
}

/// Removes a member from an object and returns it. Returns null if it is absent.
fn take(value: &mut Value, name: &str) -> Value {
    present(value, name).unwrap_or_default()
}

/// Splits Converse's answer into the events that ConverseStream would send. Each block is sent in
/// one delta.
pub(super) fn unfold(mut answer: Value) -> Script {
    let mut message = take(&mut take(&mut answer, "output"), "message");
    let mut events = vec![Event {
        name: "messageStart",
        payload: json!({"role": take(&mut message, "role")}),
    }];
    let content = match take(&mut message, "content") {
        Value::Array(blocks) => blocks,
        _ => Vec::new(),
    };
    for (index, block) in content.into_iter().enumerate() {
        let (start, deltas) = divide(block);
        if let Some(start) = start {
            events.push(Event {
                name: "contentBlockStart",
                payload: json!({"contentBlockIndex": index, "start": start}),
            });
        }
        events.extend(deltas.into_iter().map(|delta| Event {
            name: "contentBlockDelta",
            payload: json!({"contentBlockIndex": index, "delta": delta}),
        }));
        events.push(Event {
            name: "contentBlockStop",
            payload: json!({"contentBlockIndex": index}),
        });
    }
    let mut members = |names: &[&str]| {
        let found = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), present(&mut answer, name)?)));
        Value::Object(found.collect())
    };
    events.push(Event {
        name: "messageStop",
        payload: members(&["stopReason", "additionalModelResponseFields"]),
    });
    events.push(Event {
        name: "metadata",
        payload: members(&[
            "usage",
            "metrics",
            "trace",
            "performanceConfig",
            "serviceTier",
        ]),
    });
    Script { events }
}

/// Returns a block's start event, if its kind has one, and its deltas.
fn divide(block: Value) -> (Option<Value>, Vec<Value>) {
    let Value::Object(members) = block else {
        return (None, Vec::new());
    };
    let Some((kind, mut value)) = members.into_iter().next() else {
        return (None, Vec::new());
    };
    match kind.as_str() {
        "toolUse" => {
            let input = present(&mut value, "input").unwrap_or_else(|| json!({}));
            (
                Some(json!({"toolUse": value})),
                vec![json!({"toolUse": {"input": input.to_string()}})],
            )
        }
        "toolResult" => {
            let content = present(&mut value, "content").unwrap_or_else(|| json!([]));
            (
                Some(json!({"toolResult": value})),
                vec![json!({"toolResult": content})],
            )
        }
        "image" => {
            let format = json!({"image": {"format": take(&mut value, "format")}});
            (Some(format), vec![json!({"image": value})])
        }
        "reasoningContent" => {
            let mut deltas = Vec::new();
            if let Some(redacted) = present(&mut value, "redactedContent") {
                deltas.push(json!({"redactedContent": redacted}));
            } else if let Some(mut text) = present(&mut value, "reasoningText") {
                deltas.extend(present(&mut text, "text").map(|text| json!({"text": text})));
                deltas.extend(
                    present(&mut text, "signature")
                        .map(|signature| json!({"signature": signature})),
                );
            }
            (
                None,
                deltas
                    .into_iter()
                    .map(|delta| json!({"reasoningContent": delta}))
                    .collect(),
            )
        }
        "citationsContent" => {
            let texts = take(&mut value, "content");
            let citations = take(&mut value, "citations");
            let texts = texts.as_array().cloned().unwrap_or_default();
            let citations = citations.as_array().cloned().unwrap_or_default();
            let citations = citations
                .into_iter()
                .map(|citation| json!({"citation": citation}));
            (None, texts.into_iter().chain(citations).collect())
        }
        _ => (None, vec![json!({kind: value})]),
    }
}
