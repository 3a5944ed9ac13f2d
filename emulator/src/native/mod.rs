//! Answers InvokeModel and InvokeModelWithResponseStream, whose bodies are in the models' own
//! formats.
//!
//! | module | job |
//! |---|---|
//! | `native_answer` | an answer, and the error for a body in another format |
//! | `titan` | creates embeddings of Amazon Titan |
//! | `canvas` | creates images of Amazon Nova Canvas |
//! | `png` | writes an image of one colour |
//! | `rerank` | sorts documents as Cohere Rerank does |
//! | `messages` | the Messages format of Anthropic, which is answered like a Converse request |
//! | `messages_members` | the members that answers and chunks of the Messages format share |
//! | `messages_stream` | the chunks of the Messages format |

mod canvas;
mod messages;
mod messages_members;
mod messages_stream;
mod native_answer;
mod png;
mod rerank;
mod titan;

use http::HeaderMap;
use serde_json::Value;

pub(super) use self::native_answer::{NativeAnswer, Used};
use super::{
    catalogue::{Model, Output},
    script::{ApiError, Script},
};

/// Answers a body for a model.
///
/// # Errors
/// Returns Bedrock's error for a body that is not in the model's format, and for models whose
/// format the emulator does not support.
pub(super) fn answer(
    model: Option<&'static Model>,
    headers: &HeaderMap,
    request: &Value,
) -> Result<NativeAnswer, ApiError> {
    match model {
        Some(model) => match model.output {
            Output::Embedding => titan::answer(request),
            Output::Image => canvas::answer(request),
            Output::Ranking => rerank::answer(request),
            Output::Text if model.provider == "Anthropic" => {
                messages::answer(model.id, headers, request)
            }
            Output::Text => Err(not_served()),
        },
        None => Err(not_served()),
    }
}

/// Answers a body with chunks. Each is returned as the payload of an event. The event has the name
/// of the ConverseStream event that the chunk replaces, so that faults can find their position.
/// `tokens` is the length of the answer, if the options set it.
///
/// # Errors
/// Fails for the same reasons as [`answer`], and for models that do not support streaming.
pub(super) fn stream(
    model: Option<&'static Model>,
    headers: &HeaderMap,
    request: &Value,
    tokens: Option<usize>,
) -> Result<(Script, Used), ApiError> {
    match model {
        Some(model) if model.output != Output::Text => Err(ApiError::validation(
            "The model is unsupported for streaming",
        )),
        Some(model) if model.provider == "Anthropic" => {
            messages::stream(model.id, headers, request, tokens)
        }
        _ => Err(not_served()),
    }
}

fn not_served() -> ApiError {
    ApiError::validation(
        "The emulator serves InvokeModel only for Amazon Titan Text Embeddings V2, Amazon Nova Canvas, Cohere Rerank 3.5 and models of Anthropic.",
    )
}
