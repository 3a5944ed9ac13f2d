//! What Bedrock refuses, in Bedrock's order: JSON of the wrong type, then all broken parameter
//! constraints at once, then the first broken rule between parameters.
//!
//! Wordings are the service's where they are publicly known (issue trackers of SDKs and gateways
//! quote them); a wording that is not known says what is wrong in the same manner.

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
