//! What Bedrock rejects, in Bedrock's order: JSON of the wrong type, then all violated parameter
//! constraints together, then the first violated rule between parameters.
//!
//! The messages are the service's where they are publicly known (issue trackers of SDKs and
//! gateways quote them). Where they are not, the message explains the error in the same style.

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

/// Checks a request against every rule.
///
/// # Errors
/// `SerializationException` or `ValidationException`, both HTTP 400.
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
