//! Defines an answer in a model's own format, and the error for a body in another format.

use serde_json::Value;

use crate::script::ApiError;

/// An answer in a model's own format.
#[derive(Debug)]
pub(crate) struct NativeAnswer {
    pub(crate) body: Value,
    pub(crate) used: Used,
    /// Whether Bedrock reports the tokens.
    pub(crate) reports_tokens: bool,
}

/// The token counts of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// The maximum number of output tokens, as the request sets it.
    pub(crate) max_tokens: u64,
}

impl NativeAnswer {
    /// Returns the answer of a model that Bedrock does not bill by tokens.
    pub(super) fn without_tokens(body: Value) -> Self {
        Self {
            body,
            used: Used {
                input: 0,
                output: 0,
                max_tokens: 0,
            },
            reports_tokens: false,
        }
    }
}

/// Returns Bedrock's error for a body that is not in the model's format.
pub(super) fn malformed(what: &str) -> ApiError {
    ApiError::validation(format!(
        "Malformed input request: {what}, please reformat your input and try again."
    ))
}
