//! Answers ApplyGuardrail: checks content with a guardrail, without a call to a model.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::Value;

use super::{
    answer,
    catalogue::Arn,
    error::{WireError, json},
    exchange::Asked,
};

/// Answers a call of ApplyGuardrail. Every well-formed ID names a guardrail of the called Region,
/// and an ARN names a guardrail of the Region in the ARN.
///
/// # Errors
/// Returns Bedrock's errors.
pub(super) fn answer(
    identifier: &str,
    version: &str,
    asked: &Asked,
) -> Result<Response<Full<Bytes>>, WireError> {
    let request: Value =
        serde_json::from_slice(&asked.body).map_err(|error| WireError::no_json(&error))?;
    let answered = answer::apply_guardrail(identifier, version, &request)?;
    if Arn::parse(identifier).is_some_and(|arn| arn.region != asked.region) {
        let message = "The guardrail identifier or version provided in the request does not exist.";
        return Err(WireError::bedrock(
            404,
            "ResourceNotFoundException",
            message,
        ));
    }
    Ok(json(200, &answered))
}
