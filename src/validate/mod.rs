//! Checks a request by all rules that need no call to Bedrock, and reports all violations together.
//! Performs no I/O.
//!
//! The rules come from the proto comments, from Bedrock's service model and from its documentation.
//! A rule is included only if no call that breaks it can succeed; rules that depend on the model
//! are left to Bedrock. A required field may be empty if a raw member provides its content.
//!
//! | file | rules for |
//! |---|---|
//! | `target` | the format of the target |
//! | `message` | the conversation, the system prompt, and which role can contain which blocks |
//! | `media` | images, documents, video, audio |
//! | `tool` | tools, their calls and results |
//! | `citation` | citations and search results |
//! | `guardrail` | guardrails and the content that they assess |
//! | `inference` | inference parameters, output format, latency, service tier, cache points |
//! | `metadata` | request metadata, prompt variables, response field paths, raw members |
//! | `native` | requests of `InvokeModel` and `StreamInvokeModel` |
//! | `json` | JSON text, Structs, JSON Pointers |
//! | `common` | rules that many fields share: enums, lengths, character sets |
//! | `path` | collects violations and their paths |
//! | `raw_pointers` | finds the raw members that provide a required field |

mod citation;
mod common;
mod guardrail;
mod inference;
mod json;
mod media;
mod message;
mod metadata;
mod native;
mod path;
mod raw_pointers;
mod target;
mod tool;

use prost_types::Duration;

pub(crate) use path::Shown;
pub use path::{MAX_VIOLATIONS, Violations};
use target::Shape;

use crate::{bounds::Stop, config::TargetLimits, error::Violation, pb};

/// The maximum number of seconds of a duration, about 10,000 years. Source:
/// `google/protobuf/duration.proto`.
const MAX_SECONDS: i64 = 315_576_000_000;

/// Checks a request of `Invoke` by all rules that need no call to Bedrock.
///
/// `model_id` is the model ID or ARN to which the target was resolved. If it was not resolved, it
/// is the target itself.
///
/// # Errors
/// Returns all violations, at most [`MAX_VIOLATIONS`]. Paths begin at the request: `target`,
/// `input.messages[0].content[1].image.format`.
pub fn invoke(request: &pb::InvokeRequest, model_id: &str) -> Result<(), Vec<Violation>> {
    invoke_until(&Stop::never(), request, model_id)
}

/// Checks a request like [`invoke`], but ends early if `stop` is set. The result is then incomplete
/// and must be ignored.
///
/// # Errors
/// Returns all violations, as with [`invoke`].
pub fn invoke_until(
    stop: &Stop,
    request: &pb::InvokeRequest,
    model_id: &str,
) -> Result<(), Vec<Violation>> {
    let mut out = Violations::until(stop.clone());
    target(&request.target, &mut out);
    input(model_id, request.input.as_ref(), &mut out);
    out.finish()
}

/// Checks a request of `StreamInvoke` like [`invoke`].
///
/// # Errors
/// Returns all violations, as with [`invoke`].
pub fn stream_invoke(
    request: &pb::StreamInvokeRequest,
    model_id: &str,
) -> Result<(), Vec<Violation>> {
    stream_invoke_until(&Stop::never(), request, model_id)
}

/// Checks a request like [`stream_invoke`], but ends early if `stop` is set. The result is then
/// incomplete and must be ignored.
///
/// # Errors
/// Returns all violations, as with [`invoke`].
pub fn stream_invoke_until(
    stop: &Stop,
    request: &pb::StreamInvokeRequest,
    model_id: &str,
) -> Result<(), Vec<Violation>> {
    let mut out = Violations::until(stop.clone());
    target(&request.target, &mut out);
    input(model_id, request.input.as_ref(), &mut out);
    if let Some(interval) = &request.heartbeat_interval {
        heartbeat_interval(*interval, &mut out);
    }
    if let Some(time) = &request.coalesce {
        coalesce(*time, &mut out);
    }
    out.finish()
}

/// Checks a request of `ApplyGuardrail`. Ends early if `stop` is set. The result is then incomplete
/// and must be ignored.
///
/// # Errors
/// Returns all violations, as with [`invoke`].
pub fn apply_guardrail_until(
    stop: &Stop,
    request: &pb::ApplyGuardrailRequest,
) -> Result<(), Vec<Violation>> {
    let mut out = Violations::until(stop.clone());
    target(&request.target, &mut out);
    guardrail::apply(request, &mut out);
    out.finish()
}

/// Checks a request of `InvokeModel`, except for the content of its body. Ends early if `stop` is
/// set. The result is then incomplete and must be ignored.
///
/// # Errors
/// Returns all violations, as with [`invoke`].
pub fn invoke_model_until(
    stop: &Stop,
    request: &pb::InvokeModelRequest,
) -> Result<(), Vec<Violation>> {
    let mut out = Violations::until(stop.clone());
    native::request(request, &mut out);
    out.finish()
}

/// Checks a request of `StreamInvokeModel`: the fields that `InvokeModel` also has, like
/// [`invoke_model_until`], and the interval of heartbeats.
///
/// # Errors
/// Returns all violations, as with [`invoke`].
pub fn stream_invoke_model_until(
    stop: &Stop,
    request: &pb::InvokeModelRequest,
    heartbeat: Option<prost_types::Duration>,
) -> Result<(), Vec<Violation>> {
    let mut out = Violations::until(stop.clone());
    native::request(request, &mut out);
    if let Some(interval) = heartbeat {
        heartbeat_interval(interval, &mut out);
    }
    out.finish()
}

/// Checks the field `target` of a request.
pub fn target(target: &str, out: &mut Violations) {
    target::check(target, out);
}

/// Checks the field `input`. If `model_id` is a prompt of Prompt management, the input must not
/// contain fields that the prompt itself sets.
pub fn input(model_id: &str, input: Option<&pb::ConverseInput>, out: &mut Violations) {
    let Some(input) = input else {
        out.add_at("input", "is required: set the Converse request");
        return;
    };
    out.expect_raw(&input.raw_members);
    out.field("input", |out| {
        match target::shape(model_id) {
            Shape::Prompt => prompt(input, out),
            // Only prompts have variables, so the alias must lead to a prompt.
            Shape::Alias if !input.prompt_variables.is_empty() => {}
            Shape::Alias | Shape::ModelId | Shape::Arn => {
                if input.messages.is_empty() {
                    out.no_items_at(
                        "messages",
                        "is required: add at least one message. Only prompts of Prompt management work without messages",
                    );
                }
            }
        }
        converse(input, out);
    });
}

/// Reports fields that a prompt of Prompt management itself sets.
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
    metadata::project_identifier(input.project_identifier.as_deref(), out);
    metadata::raw_members(&input.raw_members, out);
}

fn heartbeat_interval(interval: Duration, out: &mut Violations) {
    const FIELD: &str = "heartbeat_interval";
    if !is_valid(interval) {
        out.add_at(FIELD, INVALID_DURATION);
    } else if interval.seconds < 1 && (interval.seconds, interval.nanos) != (0, 0) {
        out.add_at(
            FIELD,
            "is less than 1 s: use at least 1 s, or 0 for no heartbeats",
        );
    }
}

fn coalesce(time: Duration, out: &mut Violations) {
    const FIELD: &str = "coalesce";
    if !is_valid(time) {
        out.add_at(FIELD, INVALID_DURATION);
    } else if std::time::Duration::try_from(time)
        .map_or(true, |time| time > TargetLimits::MAX_COALESCE)
    {
        out.add_at(
            FIELD,
            "is not between 0 and 1 s: use at most 1 s, or 0 for one message per delta",
        );
    }
}

const INVALID_DURATION: &str =
    "is not a valid google.protobuf.Duration: check its range and the signs of seconds and nanos";

fn is_valid(Duration { seconds, nanos }: Duration) -> bool {
    let in_range = (-MAX_SECONDS..=MAX_SECONDS).contains(&seconds)
        && (-999_999_999..=999_999_999).contains(&nanos);
    let signs_agree = (seconds >= 0 && nanos >= 0) || (seconds <= 0 && nanos <= 0);
    in_range && signs_agree
}
