//! Generates answers: converts a Converse request to a script of events. Performs no I/O, and
//! always returns the same answer for the same request.
//!
//! | module | job |
//! |---|---|
//! | `validate` | the requests that Bedrock rejects |
//! | `request` | the parts of a request that answers need |
//! | `json` | reads JSON as Bedrock does |
//! | `style` | the behaviour that requests do not specify |
//! | `seed` | varies answers without randomness |
//! | `compose` | decides which content an answer has |
//! | `triggers` | words in a prompt that request rare behaviour |
//! | `text` | generated prose, dictated texts, tokens |
//! | `tools`, `schema` | which tool is called, with an input that matches its schema |
//! | `reasoning`, `citations`, `guardrail` | content in addition to the text |
//! | `apply_guardrail` | answers ApplyGuardrail |
//! | `draft`, `limits` | the answer as blocks and pieces, and its early end |
//! | `usage`, `fields` | the metadata of the answer |
//! | `script` | the events of the answer |

mod apply_guardrail;
mod citations;
mod compose;
mod draft;
mod fields;
mod guardrail;
mod json;
mod limits;
mod reasoning;
mod request;
mod schema;
mod script;
mod seed;
mod style;
mod text;
mod tools;
mod triggers;
mod usage;
mod validate;

use serde_json::Value;

pub use self::style::{CacheSeen, Style};
use super::script::{ApiError, Script};

/// Answers a Converse request body for a model, in the default style.
///
/// # Errors
/// Returns Bedrock's error for invalid input.
pub fn answer(model_id: &str, request: &Value) -> Result<Script, ApiError> {
    answer_with(model_id, request, &Style::default())
}

/// Answers a Converse request body for a model. `model_id` is a model ID, a profile ID or an ARN,
/// as in the path of the URL.
///
/// # Errors
/// Returns Bedrock's error for invalid input: a `ValidationException` or `SerializationException`
/// with HTTP status 400.
pub fn answer_with(model_id: &str, request: &Value, style: &Style) -> Result<Script, ApiError> {
    validate::check(model_id, request)?;
    let request = request::Request::new(model_id, request);
    Ok(script::events(
        &request,
        compose::answer(&request, style),
        style,
    ))
}

/// Returns the number of input tokens of a request body, estimated as in `metadata.usage`.
///
/// # Errors
/// Returns Bedrock's error for invalid input.
pub fn count_tokens(model_id: &str, request: &Value) -> Result<u64, ApiError> {
    validate::check(model_id, request)?;
    Ok(usage::input_tokens(request))
}

/// Answers the body of an ApplyGuardrail request for a guardrail.
///
/// # Errors
/// Returns Bedrock's error for invalid input.
pub fn apply_guardrail(
    identifier: &str,
    version: &str,
    request: &Value,
) -> Result<Value, ApiError> {
    validate::check_guardrail(identifier, version, request)?;
    Ok(apply_guardrail::respond(request))
}

/// Returns the ARN of the model that a prompt router selects, if the model ID is a router's ARN.
pub(super) fn routed(model_id: &str) -> Option<String> {
    script::routed(model_id)
}
