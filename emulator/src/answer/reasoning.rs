//! Generates reasoning before the answer, if the request enables it.

use serde_json::Value;

use super::{draft::Content, json::text_at, request::Request, seed::Seed, text::excerpt, triggers};

/// Returns the reasoning blocks of an answer. There are none if reasoning is off.
pub(super) fn blocks(request: &Request<'_>, seed: &mut Seed) -> Vec<Content> {
    if !enabled(request.body) {
        return Vec::new();
    }
    if triggers::redacted_reasoning(&request.prompt) {
        return vec![Content::Redacted(seed.base64(240))];
    }
    // With `display: omitted`, only the signature is sent.
    let omitted = text_at(
        request.body,
        &["additionalModelRequestFields", "thinking", "display"],
    ) == Some("omitted");
    let text = if omitted {
        String::new()
    } else {
        think(request, seed)
    };
    vec![Content::Reasoning {
        text,
        signature: seed.base64(360),
    }]
}

/// Returns whether a request enables reasoning. The name of the field is `thinking` in Claude's own
/// format, `reasoning_config` for Claude on Converse, and `reasoningConfig` for Nova. `effort` is
/// Bedrock's name.
fn enabled(body: &Value) -> bool {
    let switch = |name| text_at(body, &["additionalModelRequestFields", name, "type"]);
    let on = |name| matches!(switch(name), Some("enabled" | "adaptive"));
    let off = |name| switch(name) == Some("disabled");
    let switches = ["thinking", "reasoning_config", "reasoningConfig"];
    let effort = text_at(body, &["outputConfig", "effort"]).is_some();
    switches.into_iter().any(on) || (effort && !switches.into_iter().any(off))
}

fn think(request: &Request<'_>, seed: &mut Seed) -> String {
    let topic = excerpt(&request.prompt, 12);
    let mut sentences = vec![
        format!("The user asks: \"{topic}\"."),
        match request.messages().len() {
            0 | 1 => {
                "It is the first message, so there is no history to take into account.".to_owned()
            }
            count => format!(
                "There are {count} messages so far, and the last one decides what is wanted now."
            ),
        },
    ];
    let more = [
        "First I should make sure what exactly is being asked.",
        "A short answer is better than a long one here, as long as it is complete.",
        "I should check whether the facts that I need are all in the conversation.",
        "There are several ways to put this; I will take the plainest.",
        "Nothing in the request contradicts itself, so I can go ahead.",
        "Let me order the points before I write them down.",
        "I want to avoid claiming more than I know.",
        "It is worth saying where the answer comes from.",
    ];
    let count = match text_at(request.body, &["outputConfig", "effort"]) {
        Some("low") => 1,
        Some("high") => 5,
        Some("xhigh") => 6,
        Some("max") => 7,
        _ => 3,
    };
    let first = seed.below(more.len());
    sentences.extend(
        more.iter()
            .cycle()
            .skip(first)
            .take(count)
            .map(|sentence| (*sentence).to_owned()),
    );
    sentences.push("Now I can answer.".to_owned());
    sentences.join(" ")
}
