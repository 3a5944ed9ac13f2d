//! Answers CountTokens: returns the number of input tokens of a request, without a call to the
//! model.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::{Value, json};

use super::{
    answer,
    catalogue::{Arn, Model},
    error::{WireError, json},
    exchange::Asked,
    script::ApiError,
};

/// The number of characters of an InvokeModel body that are counted as one token.
const CHARACTERS_PER_TOKEN: usize = 4;

/// Answers a call of CountTokens.
///
/// # Errors
/// Returns Bedrock's errors. Bedrock accepts the IDs and ARNs of some foundation models, but never
/// those of inference profiles.
pub(super) fn answer(model_id: &str, asked: &Asked) -> Result<Response<Full<Bytes>>, WireError> {
    let id = match Arn::parse(model_id) {
        Some(arn) if arn.kind == "foundation-model" && arn.region == asked.region => arn.id,
        Some(_) => "",
        None => model_id,
    };
    let model = Model::find(id).filter(|model| model.is_in(&asked.region) && model.counts_tokens);
    if model.is_none() {
        let message = "The provided model doesn't support counting tokens.";
        return Err(ApiError::validation(message).into());
    }
    let request: Value =
        serde_json::from_slice(&asked.body).map_err(|error| WireError::no_json(&error))?;
    let input = &request["input"];
    let tokens = match (input.get("converse"), input["invokeModel"]["body"].as_str()) {
        (Some(converse), None) => answer::count_tokens(model_id, converse)?,
        (None, Some(body)) => {
            let body = BASE64_STANDARD.decode(body).map_err(|error| {
                ApiError::validation(format!(
                    "The value at input.invokeModel.body is invalid: {error}"
                ))
            })?;
            let characters = String::from_utf8_lossy(&body).chars().count();
            u64::try_from(characters.div_ceil(CHARACTERS_PER_TOKEN)).unwrap_or(u64::MAX)
        }
        _ => {
            let message =
                "The value at input is invalid. Give one of converse and invokeModel.body.";
            return Err(ApiError::validation(message).into());
        }
    };
    Ok(json(200, &json!({ "inputTokens": tokens })))
}
