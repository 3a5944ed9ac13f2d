//! Rejects the requests that Bedrock rejects, in Bedrock's order. JSON of the wrong type is
//! reported first. Then all violated constraints of single parameters are reported together, and
//! then the first violated rule between parameters.
//!
//! If the service's message is publicly known (issue trackers of SDKs and gateways quote many), the
//! emulator uses the same text. Other messages explain the error in the same style.

mod api;
mod conversation;
mod media;
mod resource;
mod sampling;
mod text;
mod tools;

use serde_json::Value;

pub(super) use self::resource::resource as resource_of;
use super::super::{script::ApiError, shape};

/// Checks a request of ApplyGuardrail.
///
/// # Errors
/// Returns a `SerializationException` or `ValidationException`, both with HTTP status 400.
pub(super) fn check_guardrail(
    identifier: &str,
    version: &str,
    request: &Value,
) -> Result<(), ApiError> {
    let path = [
        (
            "guardrailIdentifier",
            identifier,
            &api::GUARDRAIL_IDENTIFIER,
        ),
        ("guardrailVersion", version, &api::GUARDRAIL_VERSION),
    ];
    shape::check(&path, request, &api::APPLY_GUARDRAIL)
}

/// Checks a request with all rules.
///
/// # Errors
/// Returns a `SerializationException` or `ValidationException`, both with HTTP status 400.
pub(super) fn check(model_id: &str, request: &Value) -> Result<(), ApiError> {
    let model = [("modelId", model_id, &api::MODEL_ID)];
    shape::check(&model, request, &api::CONVERSE)?;
    resource::check(model_id, request)
        .and_then(|()| conversation::check(model_id, request))
        .and_then(|()| media::check(model_id, request))
        .and_then(|()| tools::check(model_id, request))
        .and_then(|()| sampling::check(model_id, request))
        .map_err(ApiError::validation)
}
