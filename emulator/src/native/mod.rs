//! InvokeModel: answers bodies in the models' own formats.
//!
//! | module | job |
//! |---|---|
//! | `titan` | embeddings of Amazon Titan |
//! | `messages` | the Messages format of Anthropic, answered like a request of Converse |

mod messages;
mod titan;

use http::HeaderMap;
use serde_json::Value;

use super::{catalogue::Model, script::ApiError};

/// An answer in a model's own format.
#[derive(Debug)]
pub(super) struct NativeAnswer {
    pub(super) body: Value,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    /// The maximum number of output tokens that the request asked for.
    pub(super) max_tokens: u64,
}

/// Answers a body for a model.
///
/// # Errors
/// What Bedrock returns for a body that is not in the model's format, and for models whose format
/// the emulator does not have.
pub(super) fn answer(
    model: Option<&'static Model>,
    headers: &HeaderMap,
    request: &Value,
) -> Result<NativeAnswer, ApiError> {
    match model {
        Some(model) if model.embeds => titan::answer(request),
        Some(model) if model.provider == "Anthropic" => {
            messages::answer(model.id, headers, request)
        }
        _ => Err(ApiError::validation(
            "The emulator serves InvokeModel only for Amazon Titan Text Embeddings V2 and models of Anthropic.",
        )),
    }
}

/// Returns Bedrock's error for a body that is not in the model's format.
fn malformed(what: &str) -> ApiError {
    ApiError::validation(format!(
        "Malformed input request: {what}, please reformat your input and try again."
    ))
}
