//! What can be known of a request without asking Bedrock: every rule, all violations at once. Pure.
//!
//! The rules are those of the protos' comments, of Bedrock's service model and of its documentation. What depends on the model is
//! Bedrock's to judge: a rule stands here only if no call that breaks it can succeed.
//!
//! | file | rules for |
//! |---|---|
//! | `target` | the target's shape |
//! | `message` | the conversation, the system prompt, and which role may hold what |
//! | `media` | images, documents, video, sound |
//! | `tool` | tools, their calls and results |
//! | `citation` | citations and search results |
//! | `guardrail` | guardrails and what they look at |
//! | `inference` | inference parameters, output form, latency, tier, cache points |
//! | `metadata` | request metadata, prompt variables, response field paths, raw members |
//! | `json` | JSON text, Structs, JSON Pointers |
//! | `word` | enums, lengths, character sets |
//! | `path` | the violations and where they are |
//! | `raw_pointers` | where raw members stand: what they may hold is not missing |

mod citation;
mod guardrail;
mod inference;
mod json;
mod media;
mod message;
mod metadata;
mod path;
mod raw_pointers;
mod target;
mod tool;
mod word;

use prost_types::Duration;

pub(crate) use path::Shown;
pub use path::{MAX_VIOLATIONS, Violations};
use target::Shape;

use crate::{error::Violation, pb};

/// Source: `google/protobuf/duration.proto`, about 10,000 years.
const MAX_SECONDS: i64 = 315_576_000_000;

/// Checks everything that can be known without asking Bedrock.
///
/// # Errors
/// All violations, at most [`MAX_VIOLATIONS`]. Paths begin at the request: `target`, `input.messages[0].content[1].image.format`.
///
/// `model_id` is what the target was resolved to, or the target itself if it was not.
pub fn invoke(request: &pb::InvokeRequest, model_id: &str) -> Result<(), Vec<Violation>> {
    let mut out = Violations::new();
    target(&request.target, &mut out);
    input(model_id, request.input.as_ref(), &mut out);
    out.finish()
}

/// Checks everything that can be known without asking Bedrock.
///
/// # Errors
/// All violations, as with [`invoke`].
pub fn stream_invoke(
    request: &pb::StreamInvokeRequest,
    model_id: &str,
) -> Result<(), Vec<Violation>> {
    let mut out = Violations::new();
    target(&request.target, &mut out);
    input(model_id, request.input.as_ref(), &mut out);
    if let Some(interval) = &request.heartbeat_interval {
        heartbeat_interval(*interval, &mut out);
    }
    out.finish()
}

/// Checks the field `target` of any request.
pub fn target(target: &str, out: &mut Violations) {
    target::check(target, out);
}

/// Checks the field `input` of any request. What the target was resolved to decides on what prompts of Prompt management may not hold.
pub fn input(model_id: &str, input: Option<&pb::ConverseInput>, out: &mut Violations) {
    let Some(input) = input else {
        out.add_at("input", "is required: what to ask the model");
        return;
    };
    out.expect_raw(&input.raw_members);
    out.field("input", |out| {
        match target::shape(model_id) {
            Shape::Prompt => prompt(input, out),
            // Variables are for prompts only, so this alias stands for one.
            Shape::Alias if !input.prompt_variables.is_empty() => {}
            Shape::Alias | Shape::ModelId | Shape::Arn => {
                if input.messages.is_empty() {
                    out.no_items_at(
                        "messages",
                        "is required: give at least one message; only prompts of Prompt management need none",
                    );
                }
            }
        }
        converse(input, out);
    });
}

/// Prompts of Prompt management bring these themselves.
fn prompt(input: &pb::ConverseInput, out: &mut Violations) {
    use pb::converse_input::AdditionalModelRequestFields as Fields;

    let fields = input.additional_model_request_fields.as_ref();
    for (field, given) in [
        ("system", !input.system.is_empty()),
        ("inference_config", input.inference_config.is_some()),
        ("tool_config", input.tool_config.is_some()),
        (
            "additional_model_request_fields_json",
            matches!(fields, Some(Fields::AdditionalModelRequestFieldsJson(_))),
        ),
        (
            "additional_model_request_fields_struct",
            matches!(fields, Some(Fields::AdditionalModelRequestFieldsStruct(_))),
        ),
    ] {
        if given {
            out.add_at(
                field,
                "is not allowed when the target is a prompt of Prompt management: set it in the prompt",
            );
        }
    }
}

fn converse(input: &pb::ConverseInput, out: &mut Violations) {
    use pb::converse_input::AdditionalModelRequestFields as Fields;

    message::messages(&input.messages, out);
    message::system(&input.system, out);
    if let Some(config) = &input.inference_config {
        out.field("inference_config", |out| {
            inference::inference_config(config, out);
        });
    }
    if let Some(config) = &input.tool_config {
        out.field("tool_config", |out| tool::config(config, out));
    }
    if let Some(config) = &input.guardrail_config {
        out.field("guardrail_config", |out| guardrail::config(config, out));
    }
    match &input.additional_model_request_fields {
        None => {}
        Some(Fields::AdditionalModelRequestFieldsJson(text)) => {
            json::text("additional_model_request_fields_json", text, out);
        }
        Some(Fields::AdditionalModelRequestFieldsStruct(value)) => {
            json::structure("additional_model_request_fields_struct", value, out);
        }
    }
    metadata::prompt_variables(&input.prompt_variables, out);
    metadata::response_field_paths(&input.additional_model_response_field_paths, out);
    metadata::request_metadata(&input.request_metadata, out);
    if let Some(config) = &input.performance_config {
        out.field("performance_config", |out| {
            inference::performance_config(config, out);
        });
    }
    if let Some(tier) = &input.service_tier {
        out.field("service_tier", |out| inference::service_tier(tier, out));
    }
    if let Some(config) = &input.output_config {
        out.field("output_config", |out| inference::output_config(config, out));
    }
    metadata::raw_members(&input.raw_members, out);
}

fn heartbeat_interval(interval: Duration, out: &mut Violations) {
    const FIELD: &str = "heartbeat_interval";
    let Duration { seconds, nanos } = interval;
    let in_range = (-MAX_SECONDS..=MAX_SECONDS).contains(&seconds)
        && (-999_999_999..=999_999_999).contains(&nanos);
    let signs_agree = (seconds >= 0 && nanos >= 0) || (seconds <= 0 && nanos <= 0);
    if !in_range || !signs_agree {
        out.add_at(
            FIELD,
            "is not a valid google.protobuf.Duration: see its comments on range and signs",
        );
    } else if seconds < 1 && (seconds, nanos) != (0, 0) {
        out.add_at(
            FIELD,
            "is less than 1 s: use at least 1 s, or 0 for no heartbeats",
        );
    }
}
