//! Converts an answer to events.

use serde_json::{Map, Value, json};

use super::{
    super::script::{Event, Script},
    draft::Draft,
    fields,
    guardrail::Verdict,
    json::{member, text_at},
    request::Request,
    style::Style,
    usage::usage,
};

/// The minimum duration of a call, in milliseconds. The next two constants are added for each
/// output token and for each thousand input tokens.
const LATENCY_FLOOR: u64 = 180;
const LATENCY_PER_TOKEN: u64 = 14;
const LATENCY_PER_INPUT: u64 = 25;

/// Returns the whole stream, from `messageStart` to `metadata`.
pub(super) fn events(
    request: &Request<'_>,
    (draft, verdict): (Draft, Option<Verdict>),
    style: &Style,
) -> Script {
    let usage = usage(request, draft.tokens(), style);
    let mut stop = Map::new();
    stop.insert("stopReason".to_owned(), json!(draft.stop_reason));
    if let Some(fields) = fields::additional(request, &draft, &usage) {
        stop.insert("additionalModelResponseFields".to_owned(), fields);
    }
    let metadata = metadata(request, &draft, usage, verdict);

    let mut events = vec![event("messageStart", json!({"role": "assistant"}))];
    for (index, block) in draft.blocks.into_iter().enumerate() {
        if let Some(start) = block.start {
            events.push(event(
                "contentBlockStart",
                json!({"contentBlockIndex": index, "start": start}),
            ));
        }
        let delta = |delta: Value| {
            event(
                "contentBlockDelta",
                json!({"contentBlockIndex": index, "delta": delta}),
            )
        };
        events.extend(block.pieces.into_iter().map(|piece| delta(piece.delta())));
        events.push(event(
            "contentBlockStop",
            json!({"contentBlockIndex": index}),
        ));
    }
    events.push(event("messageStop", Value::Object(stop)));
    events.push(event("metadata", metadata));
    Script { events }
}

const fn event(name: &'static str, payload: Value) -> Event {
    Event { name, payload }
}

fn metadata(request: &Request<'_>, draft: &Draft, usage: Value, verdict: Option<Verdict>) -> Value {
    let mut metadata = Map::new();
    let mut trace = Map::new();
    metadata.insert(
        "metrics".to_owned(),
        json!({"latencyMs": latency(request, draft, &usage)}),
    );
    metadata.insert("usage".to_owned(), usage);
    if let Some(guardrail) = verdict.and_then(|verdict| verdict.trace) {
        trace.insert("guardrail".to_owned(), guardrail);
    }
    if let Some(model) = routed(request.model_id) {
        trace.insert("promptRouter".to_owned(), json!({"invokedModelId": model}));
    }
    if !trace.is_empty() {
        metadata.insert("trace".to_owned(), Value::Object(trace));
    }
    for name in ["performanceConfig", "serviceTier"] {
        if let Some(given) = member(request.body, name) {
            metadata.insert(name.to_owned(), given.clone());
        }
    }
    Value::Object(metadata)
}

fn latency(request: &Request<'_>, draft: &Draft, usage: &Value) -> u64 {
    let input = usage
        .get("inputTokens")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let standard =
        LATENCY_FLOOR + LATENCY_PER_TOKEN * draft.tokens() + LATENCY_PER_INPUT * (input / 1000);
    match text_at(request.body, &["performanceConfig", "latency"]) {
        Some("optimized") => standard / 2,
        _ => standard,
    }
}

/// Returns the model that a prompt router selects. In the emulator, each router always selects the
/// same model of its family.
pub(super) fn routed(model_id: &str) -> Option<String> {
    let (arn, router) = model_id.split_once("prompt-router/")?;
    let region = arn.split(':').nth(3).unwrap_or_default();
    let model = match router {
        router if router.starts_with("amazon") => "amazon.nova-lite-v1:0",
        router if router.starts_with("meta") => "meta.llama3-1-8b-instruct-v1:0",
        _ => "anthropic.claude-3-haiku-20240307-v1:0",
    };
    Some(format!(
        "arn:aws:bedrock:{region}::foundation-model/{model}"
    ))
}
