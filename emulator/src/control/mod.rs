//! Implements the control plane: inference profiles, tags, foundation models and Provisioned
//! Throughput, in the format that the API's model defines.

mod api;
mod models;
mod page;
mod profiles;
mod provisioned;
mod refusal;
mod tags;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde_json::{Value, json};

use super::{
    error::{WireError, json},
    exchange::Asked,
    state::State,
    uri::Operation,
};

/// Answers a control-plane call that names this project.
///
/// Returns Bedrock's error for invalid parameters, unknown identifiers, or an operation that does
/// not exist.
pub(super) fn answer(
    asked: &Asked,
    project: Option<&str>,
    state: &State,
) -> Result<Response<Full<Bytes>>, WireError> {
    let query = asked.parts.uri.query().unwrap_or_default();
    let (region, account) = (&asked.region, &state.account);
    let visible = || {
        let owner = asked.principal.account();
        state.projects.of_call(project, region, owner)
    };
    let body = match &asked.operation {
        Operation::ListInferenceProfiles => profiles::list(query, region, account, &visible()?)?,
        Operation::GetInferenceProfile(id) => profiles::get(id, region, account, &visible()?)?,
        Operation::CreateInferenceProfile => {
            let now = (state.options.clock)();
            return Ok(json(
                201,
                &profiles::create(&read(asked)?, region, account, now)?,
            ));
        }
        Operation::DeleteInferenceProfile(id) => profiles::delete(id, region, account)?,
        Operation::TagResource => tags::tag(&read(asked)?, region, account)?,
        Operation::UntagResource => tags::untag(&read(asked)?, region, account)?,
        Operation::ListTagsForResource => tags::list(&read(asked)?, region, account)?,
        Operation::ListFoundationModels => models::list(query, region, &state.lives, &visible()?)?,
        Operation::GetFoundationModel(id) => models::get(id, region, &state.lives, &visible()?)?,
        Operation::ListProvisionedModelThroughputs => provisioned::list(query, region)?,
        Operation::GetProvisionedModelThroughput(id) => provisioned::get(id, region)?,
        _ => {
            return Err(WireError::front_door(
                404,
                "UnknownOperationException",
                "Unknown operation.",
            ));
        }
    };
    Ok(json(200, &body))
}

/// Parses the body as JSON.
fn read(asked: &Asked) -> Result<Value, WireError> {
    if asked.body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(&asked.body).map_err(|error| WireError::no_json(&error))
}
