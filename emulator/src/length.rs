//! Sets the length of answers if the options specify it: repeats or truncates the text to this
//! number of tokens.

use serde_json::{Value, json};

use super::script::{Event, Script};

const DELTA: &str = "contentBlockDelta";

/// Gives a text answer this many deltas, or as many as `maxTokens` of the request if that is lower.
/// Answers with other content keep their length.
pub(super) fn set(script: &mut Script, tokens: usize, request: &Value) {
    let is_text = |event: &Event| event.payload["delta"]["text"].is_string();
    let deltas = |event: &&Event| event.name == DELTA;
    let others = script
        .events
        .iter()
        .filter(deltas)
        .any(|event| !is_text(event));
    let starts = script
        .events
        .iter()
        .any(|event| event.name == "contentBlockStart");
    let texts: Vec<Event> = script.events.iter().filter(deltas).cloned().collect();
    let Some(first) = script.events.iter().position(|event| event.name == DELTA) else {
        return;
    };
    if others || starts {
        return;
    }
    let allowed = request["inferenceConfig"]["maxTokens"].as_u64();
    let allowed = allowed
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(usize::MAX);
    let length = tokens.min(allowed);
    script.events.retain(|event| event.name != DELTA);
    script
        .events
        .splice(first..first, texts.into_iter().cycle().take(length));
    // The deltas of several text blocks are now consecutive, so the blocks are merged into one.
    let mut stops = 0;
    script.events.retain(|event| {
        stops += usize::from(event.name == "contentBlockStop");
        event.name != "contentBlockStop" || stops == 1
    });
    for event in &mut script.events {
        let Value::Object(members) = &mut event.payload else {
            continue;
        };
        if members.contains_key("contentBlockIndex") {
            members.insert("contentBlockIndex".to_owned(), json!(0));
        }
        match event.name {
            "messageStop" => {
                let reason = if tokens > allowed {
                    "max_tokens"
                } else {
                    "end_turn"
                };
                members.insert("stopReason".to_owned(), reason.into());
            }
            "metadata" => {
                if let Some(Value::Object(usage)) = members.get_mut("usage") {
                    let count = |name: &str| usage.get(name).and_then(Value::as_u64).unwrap_or(0);
                    let output = u64::try_from(length).unwrap_or(u64::MAX);
                    let total =
                        count("totalTokens") - count("outputTokens").min(count("totalTokens"));
                    usage.insert("outputTokens".to_owned(), output.into());
                    usage.insert(
                        "totalTokens".to_owned(),
                        total.saturating_add(output).into(),
                    );
                }
            }
            _ => {}
        }
    }
}
