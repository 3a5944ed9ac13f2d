//! Generates answers: a Converse request in, a script of events out. Pure: the same request gets
//! the same answer.
//!
//! | module | job |
//! |---|---|
//! | `validate` | what Bedrock rejects |
//! | `request` | the parts of a request that answers need |
//! | `triggers` | words in a prompt that request rare behaviour |
//! | `text` | prose, dictation, tokens |
//! | `tools`, `schema` | which tool is called, with an input that matches its schema |
//! | `reasoning`, `citations`, `guardrail` | what surrounds the text |
//! | `draft`, `limits` | the answer in blocks and pieces; what ends it early |
//! | `usage`, `fields` | metadata of the answer |
//! | `script` | the events |

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
/// What Bedrock returns for invalid input.
pub fn answer(model_id: &str, request: &Value) -> Result<Script, ApiError> {
    answer_with(model_id, request, &Style::default())
}

/// Answers a Converse request body for a model: a model ID, a profile ID or an ARN, as in the path.
///
/// # Errors
/// What Bedrock returns for invalid input: `ValidationException` or `SerializationException`, HTTP
/// 400.
pub fn answer_with(model_id: &str, request: &Value, style: &Style) -> Result<Script, ApiError> {
    validate::check(model_id, request)?;
    let request = request::Request::new(model_id, request);
    Ok(script::events(
        &request,
        compose::answer(&request, style),
        style,
    ))
}

/// The input tokens of a request body, estimated as in `metadata.usage`.
///
/// # Errors
/// What Bedrock returns for invalid input.
pub fn count_tokens(model_id: &str, request: &Value) -> Result<u64, ApiError> {
    validate::check(model_id, request)?;
    Ok(usage::input_tokens(request))
}

/// The ARN of the model that a prompt router chooses, if the model ID is a router's ARN.
pub(super) fn routed(model_id: &str) -> Option<String> {
    script::routed(model_id)
}
