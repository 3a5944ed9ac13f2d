//! An inference profile, as returned by ListInferenceProfiles and GetInferenceProfile.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::aws::model_id;

/// An inference profile in one source Region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InferenceProfile {
    /// The profile's ID, such as `us.anthropic.claude-sonnet-5`. The IDs of an account's own
    /// profiles are opaque.
    pub id: String,
    /// The profile's ARN.
    pub arn: String,
    /// The display name.
    pub name: String,
    /// The status in Bedrock's spelling, such as `ACTIVE`.
    pub status: String,
    /// Whether AWS defined the profile. If not, the account did.
    pub is_system_defined: bool,
    /// The foundation model behind the profile, such as `anthropic.claude-sonnet-5`.
    pub model: String,
    /// The Regions that may serve a request, sorted by name.
    pub destination_regions: Vec<String>,
    /// Whether requests may be served in any Region, as for global profiles.
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
