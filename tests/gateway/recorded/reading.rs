//! Converts answers of every form to the form of `expected.json`.

use bedrock_grpc::{
    pb::{
        self, Citation, InvokeResponse, Role, StopReason, StreamInvokeResponse,
        citation_location::Location, content_block::Content, content_block_delta_event::Delta,
        content_block_start_event::Start, reasoning_content_block,
        reasoning_content_block_delta::Delta as Reasoning, stream_invoke_response::Event,
        tool_use_block::Input,
    },
    translate,
};
use serde_json::{Map, Value, json};

/// The same JSON by value: `1` and `1.0` are the same number, and a double does not preserve the
/// difference.
pub(super) fn by_value(json: Value) -> Value {
    match json {
        Value::Number(number) => match number.as_f64() {
            Some(whole) if number.is_f64() && whole.fract() == 0.0 => (whole as i64).into(),
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(by_value).collect(),
        Value::Object(members) => {
            let members = members.into_iter();
            members
                .map(|(name, value)| (name, by_value(value)))
                .collect()
        }
        other => other,
    }
}

/// `expected.json` without what a unary answer cannot express: the positions of blocks.
pub(super) fn without_indices(expected: &Value) -> Value {
    let mut expected = expected.clone();
    for block in expected["content"].as_array_mut().unwrap() {
        block.as_object_mut().unwrap().remove("index");
    }
    expected
}

/// `expected.json` without what does not belong to an answer.
pub(super) fn answer_of(expected: &Value) -> Value {
    let mut expected = expected.clone();
    expected.as_object_mut().unwrap().remove("errors");
    expected
}

/// The messages of a stream.
pub(super) fn of_stream(messages: &[StreamInvokeResponse]) -> Value {
    let mut answer = Map::new();
    let mut blocks: Vec<Map<String, Value>> = Vec::new();
    for message in messages {
        match message.event.as_ref().unwrap() {
            Event::MessageStart(start) => {
                answer.insert("role".to_owned(), role(start.role()));
            }
            Event::ContentBlockStart(start) => {
                let mut block = Map::new();
                block.insert("index".to_owned(), start.content_block_index.into());
                if let Some(Start::ToolUse(tool)) = &start.start {
                    block.insert(
                        "toolUse".to_owned(),
                        tool_use(&tool.tool_use_id, &tool.name, tool.r#type.as_deref()),
                    );
                }
                blocks.push(block);
            }
            Event::ContentBlockDelta(delta) => {
                let block = blocks
                    .iter_mut()
                    .find(|block| block["index"] == delta.content_block_index)
                    .unwrap();
                add(block, delta.delta.as_ref());
            }
            Event::MessageStop(stop) => {
                answer.insert(
                    "stopReason".to_owned(),
                    stop_reason(stop.stop_reason(), &stop.stop_reason_name),
                );
            }
            Event::Metadata(_) => {
                let line = translate::event::to_bedrock(message);
                let mut line: Value = serde_json::from_str(&line).unwrap();
                let metadata = line["metadata"].take();
                check_usage(message, &metadata);
                answer.extend(object(metadata));
            }
            Event::ContentBlockStop(_) | Event::Heartbeat(_) | Event::Unknown(_) => {}
        }
    }
    let blocks = blocks.into_iter().map(finish).collect();
    answer.insert("content".to_owned(), blocks);
    Value::Object(answer)
}

/// The answer of Invoke.
pub(super) fn of_invoke(response: &InvokeResponse) -> Value {
    let message = response.message.as_ref().unwrap();
    let metadata = StreamInvokeResponse {
        event: Some(Event::Metadata(pb::MetadataEvent {
            metadata: response.metadata.clone(),
            ..pb::MetadataEvent::default()
        })),
        raw_members: response
            .raw_members
            .iter()
            .filter(|member| !member.pointer.starts_with("/output"))
            .cloned()
            .collect(),
    };
    let line = translate::event::to_bedrock(&metadata);
    let mut line: Value = serde_json::from_str(&line).unwrap();
    let mut answer = object(line["metadata"].take());
    answer.insert("role".to_owned(), role(message.role()));
    answer.insert(
        "stopReason".to_owned(),
        stop_reason(response.stop_reason(), &response.stop_reason_name),
    );
    answer.insert(
        "content".to_owned(),
        message.content.iter().map(block).collect(),
    );
    Value::Object(answer)
}

/// The JSON of Converse.
pub(super) fn of_converse(mut answer: Value) -> Value {
    let mut message = answer["output"]["message"].take();
    let content = message["content"].as_array_mut().unwrap();
    for block in content.iter_mut() {
        if let Some(tool) = block.get_mut("toolUse") {
            // Converse's JSON contains the value of the input, not its text.
            tool.as_object_mut().unwrap().remove("inputRaw");
        } else if let Some(reasoning) = block.get_mut("reasoningContent") {
            if let Some(text) = reasoning.get_mut("reasoningText") {
                *reasoning = text.take();
            }
        } else if let Some(cited) = block.get_mut("citationsContent") {
            let texts = cited["content"].as_array().unwrap();
            let text: String = texts
                .iter()
                .map(|piece| piece["text"].as_str().unwrap())
                .collect();
            *block = json!({"text": text, "citations": cited["citations"].take()});
        }
    }
    let mut answer = object(answer);
    answer.remove("output");
    answer.insert("role".to_owned(), message["role"].take());
    answer.insert("content".to_owned(), message["content"].take());
    Value::Object(answer)
}

/// `expected.json` without the text of tool inputs.
pub(super) fn without_input_text(mut expected: Value) -> Value {
    for block in expected["content"].as_array_mut().unwrap() {
        if let Some(tool) = block.get_mut("toolUse") {
            tool.as_object_mut().unwrap().remove("inputRaw");
        }
    }
    expected
}

/// All text of an answer.
pub(super) fn text_of(answer: &Value) -> String {
    let blocks = answer["content"].as_array().unwrap().iter();
    blocks.filter_map(|block| block["text"].as_str()).collect()
}

/// All text in the lines of `invoke --events`.
pub(super) fn text_of_lines(lines: &[Value]) -> String {
    let texts = lines
        .iter()
        .filter_map(|line| line["contentBlockDelta"]["delta"]["text"].as_str());
    texts.collect()
}

fn add(block: &mut Map<String, Value>, delta: Option<&Delta>) {
    match delta.unwrap() {
        Delta::Text(text) => append(block.entry("text").or_insert("".into()), text),
        Delta::ToolUse(piece) => append(&mut block["toolUse"]["inputRaw"], &piece.input),
        Delta::Citation(source) => block
            .entry("citations")
            .or_insert(json!([]))
            .as_array_mut()
            .unwrap()
            .push(citation(source)),
        Delta::ReasoningContent(piece) => {
            let reasoning = block.entry("reasoningContent").or_insert(json!({}));
            let (name, text) = match piece.delta.as_ref().unwrap() {
                Reasoning::Text(text) => ("text", text.clone()),
                Reasoning::Signature(text) => ("signature", text.clone()),
                Reasoning::RedactedContent(bytes) => ("redactedContent", base64(bytes)),
            };
            append(&mut reasoning[name], &text);
        }
        Delta::ToolResult(_) | Delta::Image(_) => {
            block.insert("other".to_owned(), json!(format!("{delta:?}")));
        }
    }
}

fn append(value: &mut Value, piece: &str) {
    let text = value.as_str().unwrap_or_default().to_owned() + piece;
    *value = text.into();
}

/// A block whose last piece has arrived.
fn finish(mut block: Map<String, Value>) -> Value {
    if let Some(tool) = block.get_mut("toolUse") {
        parse_input(tool);
    }
    Value::Object(block)
}

fn parse_input(tool: &mut Value) {
    let raw = tool["inputRaw"].as_str().unwrap_or("{}");
    let raw = if raw.is_empty() { "{}" } else { raw };
    tool["input"] = serde_json::from_str(raw).unwrap();
}

fn block(block: &pb::ContentBlock) -> Value {
    match block.content.as_ref().unwrap() {
        Content::Text(text) => json!({ "text": text }),
        Content::ToolUse(tool) => {
            let mut json = tool_use(&tool.tool_use_id, &tool.name, tool.r#type.as_deref());
            let Some(Input::InputJson(raw)) = &tool.input else {
                panic!("not as text: {tool:?}");
            };
            json["inputRaw"] = raw.as_str().into();
            parse_input(&mut json);
            json!({ "toolUse": json })
        }
        Content::ReasoningContent(reasoning) => {
            let reasoning = match reasoning.content.as_ref().unwrap() {
                reasoning_content_block::Content::ReasoningText(readable) => {
                    let mut json = json!({"text": readable.text});
                    if let Some(signature) = &readable.signature {
                        json["signature"] = signature.as_str().into();
                    }
                    json
                }
                reasoning_content_block::Content::RedactedContent(bytes) => {
                    json!({"redactedContent": base64(bytes)})
                }
            };
            json!({ "reasoningContent": reasoning })
        }
        Content::CitationsContent(cited) => {
            let text: String = cited
                .content
                .iter()
                .map(|piece| match piece.content.as_ref().unwrap() {
                    pb::citation_generated_content::Content::Text(text) => text.as_str(),
                })
                .collect();
            let citations: Value = cited.citations.iter().map(citation).collect();
            json!({"text": text, "citations": citations})
        }
        other => json!({"other": format!("{other:?}")}),
    }
}

fn tool_use(id: &str, name: &str, kind: Option<&str>) -> Value {
    let mut tool = json!({"toolUseId": id, "name": name, "inputRaw": ""});
    if let Some(kind) = kind {
        tool["type"] = kind.into();
    }
    tool
}

fn citation(citation: &Citation) -> Value {
    let mut json = Map::new();
    if let Some(title) = &citation.title {
        json.insert("title".to_owned(), title.as_str().into());
    }
    if let Some(source) = &citation.source {
        json.insert("source".to_owned(), source.as_str().into());
    }
    let passages = citation.source_content.iter().map(|passage| {
        let pb::citation_source_content::Content::Text(text) = passage.content.as_ref().unwrap();
        json!({ "text": text })
    });
    let passages: Vec<Value> = passages.collect();
    if !passages.is_empty() {
        json.insert("sourceContent".to_owned(), passages.into());
    }
    let location = citation.location.as_ref();
    if let Some(location) = location.and_then(|location| location.location.as_ref()) {
        json.insert("location".to_owned(), self::location(location));
    }
    Value::Object(json)
}

fn location(location: &Location) -> Value {
    let range = |name: &str, range: &pb::DocumentRange| json!({name: {"documentIndex": range.document_index, "start": range.start, "end": range.end}});
    match location {
        Location::DocumentChar(chars) => range("documentChar", chars),
        Location::DocumentPage(pages) => range("documentPage", pages),
        Location::DocumentChunk(chunks) => range("documentChunk", chunks),
        Location::Web(web) => json!({"web": {"url": web.url, "domain": web.domain}}),
        Location::SearchResultLocation(at) => json!({"searchResultLocation": {
            "searchResultIndex": at.search_result_index, "start": at.start, "end": at.end,
        }}),
    }
}

/// The fields that every reader uses, without those for JSON.
fn check_usage(message: &StreamInvokeResponse, metadata: &Value) {
    let Some(Event::Metadata(event)) = &message.event else {
        return;
    };
    let usage = event.metadata.as_ref().and_then(|m| m.usage.as_ref());
    for (name, field) in [
        ("inputTokens", usage.and_then(|u| u.input_tokens)),
        ("outputTokens", usage.and_then(|u| u.output_tokens)),
        ("totalTokens", usage.and_then(|u| u.total_tokens)),
        (
            "cacheReadInputTokens",
            usage.and_then(|u| u.cache_read_input_tokens),
        ),
        (
            "cacheWriteInputTokens",
            usage.and_then(|u| u.cache_write_input_tokens),
        ),
    ] {
        assert_eq!(metadata["usage"][name], json!(field), "{name}");
    }
}

fn role(role: Role) -> Value {
    let name = role.as_str_name().trim_start_matches("ROLE_");
    name.to_lowercase().into()
}

/// The name, as Bedrock has it; the enum says the same, or that it does not know the name.
fn stop_reason(reason: StopReason, name: &str) -> Value {
    let known = reason.as_str_name().trim_start_matches("STOP_REASON_");
    if reason != StopReason::Unspecified {
        assert_eq!(known.to_lowercase(), name);
    }
    name.into()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("no object: {other}"),
    }
}

fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes)
}
