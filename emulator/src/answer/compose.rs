//! Decides what the content of an answer is.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{
    citations,
    draft::{Block, Content, Draft},
    guardrail::{self, Verdict},
    json::text_at,
    limits, reasoning,
    request::Request,
    schema::{self, Hints},
    seed::Seed,
    style::Style,
    text::prose,
    tools, triggers,
};

/// A PNG image of one grey pixel.
const PIXEL: [u8; 67] = [
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0x3a, 0x7e, 0x9b,
    0x55, 0x00, 0x00, 0x00, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0x68, 0x00, 0x00, 0x00,
    0x82, 0x00, 0x81, 0x77, 0xcd, 0x72, 0xb6, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae,
    0x42, 0x60, 0x82,
];

/// Returns the answer, truncated at its limits, and the result of the guardrail.
pub(super) fn answer(request: &Request<'_>, style: &Style) -> (Draft, Option<Verdict>) {
    let mut seed = Seed::of([
        request.model_id,
        &request.prompt,
        &request.messages().len().to_string(),
    ]);
    let mut contents = reasoning::blocks(request, &mut seed);
    let calls = tools::blocks(request, &mut seed);
    let stop_reason = if calls.is_some() {
        "tool_use"
    } else {
        "end_turn"
    };
    contents.extend(calls.unwrap_or_else(|| said(request, style, &mut seed)));
    if triggers::asks(&request.prompt, "image") {
        contents.push(Content::Image {
            format: "png",
            bytes: STANDARD.encode(PIXEL),
        });
    }
    let verdict = guardrail::apply(request, &mut contents);
    let intervened = verdict.as_ref().is_some_and(|verdict| verdict.intervened);
    let mut draft = Draft {
        blocks: contents.into_iter().map(Block::from).collect(),
        stop_reason,
        stop_sequence: None,
    };
    if let Some(reason) = triggers::stop_reason(&request.prompt) {
        end_early(&mut draft, reason);
    }
    limits::stop_at_sequences(&mut draft, request.stop_sequences());
    limits::stop_at_tokens(&mut draft, request.max_tokens().unwrap_or(u64::MAX));
    if intervened {
        draft.stop_reason = "guardrail_intervened";
    }
    (draft, verdict)
}

/// Returns the text blocks of an answer that calls no tool.
fn said(request: &Request<'_>, style: &Style, seed: &mut Seed) -> Vec<Content> {
    if let Some(schema) = text_format(request.body) {
        return vec![Content::text(
            schema::generate(&schema, &mut NoHints).to_string(),
        )];
    }
    if let Some(cited) = citations::blocks(request) {
        return cited;
    }
    let mut text = tools::report(request)
        .unwrap_or_else(|| prose::answer(request, style.default_length, seed));
    text.extend(guardrail::mention(request));
    vec![Content::text(text)]
}

/// Returns the schema that the text must match.
fn text_format(body: &Value) -> Option<Value> {
    let schema = text_at(
        body,
        &[
            "outputConfig",
            "textFormat",
            "structure",
            "jsonSchema",
            "schema",
        ],
    )?;
    serde_json::from_str(schema).ok()
}

/// Ends an answer in the middle, with this stop reason.
fn end_early(draft: &mut Draft, reason: &'static str) {
    limits::stop_at_tokens(draft, (draft.tokens() / 2).max(1));
    draft.stop_reason = reason;
}

struct NoHints;

impl Hints for NoHints {
    fn candidates(&mut self, _: &str, _: &Map<String, Value>) -> Vec<Value> {
        Vec::new()
    }

    fn topic(&self) -> Option<Value> {
        None
    }

    fn used(&mut self, _: &Value) {}
}
