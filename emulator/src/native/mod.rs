//! InvokeModel: answers bodies in the models' own formats.
//!
//! | module | job |
//! |---|---|
//! | `native_answer` | an answer, and the error for a body in another format |
//! | `titan` | embeddings of Amazon Titan |
//! | `messages` | the Messages format of Anthropic, answered like a request of Converse |

mod messages;
mod native_answer;
mod titan;

use http::HeaderMap;
use serde_json::Value;

pub(super) use self::native_answer::NativeAnswer;
use super::{catalogue::Model, script::ApiError};

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
