//! An inference profile, as ListInferenceProfiles and GetInferenceProfile describe it.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::aws::model_id;

/// An inference profile in one source Region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InferenceProfile {
    /// Its ID: `us.anthropic.claude-sonnet-5`, or an opaque one.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// Its display name.
    pub name: String,
    /// Its status as Bedrock names it, such as `ACTIVE`.
    pub status: String,
    /// Whether AWS defined it. Otherwise the account did.
    pub is_system_defined: bool,
    /// The foundation model behind it, such as `anthropic.claude-sonnet-5`.
    pub model: String,
    /// The Regions that may serve a request, sorted by name.
    pub destination_regions: Vec<String>,
    /// Whether other Regions may serve a request, too: a global profile.
    pub anywhere: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    #[serde(default, rename = "inferenceProfileSummaries")]
    pub(super) profiles: Vec<Description>,
    pub(super) next_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Description {
    inference_profile_id: String,
    inference_profile_arn: String,
    inference_profile_name: String,
    status: String,
    r#type: String,
    models: Vec<Model>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Model {
    model_arn: String,
}

impl From<Description> for InferenceProfile {
    fn from(description: Description) -> Self {
        let arns = description.models.iter().map(|model| &model.model_arn);
        let regions: Vec<_> = arns
            .clone()
            .map(|arn| model_id::region_of_model(arn))
            .collect();
        let named: BTreeSet<_> = regions.iter().filter(|region| !region.is_empty()).collect();
        Self {
            model: arns
                .clone()
                .next()
                .map_or("", |arn| model_id::profile_id(arn))
                .to_owned(),
            anywhere: regions.iter().any(|region| region.is_empty()),
            destination_regions: named
                .into_iter()
                .map(|region| (*region).to_owned())
                .collect(),
            is_system_defined: description.r#type != "APPLICATION",
            id: description.inference_profile_id,
            arn: description.inference_profile_arn,
            name: description.inference_profile_name,
            status: description.status,
        }
    }
}
