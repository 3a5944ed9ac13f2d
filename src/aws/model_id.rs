//! Derives facts from the format of a model ID or ARN, because Bedrock accepts all kinds of them in
//! the same field.

use super::Geography;

/// The kinds of resources that a model ID or ARN can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelIdKind {
    /// A foundation model, called on demand in the source Region.
    OnDemand,
    /// A cross-region inference profile that AWS defines.
    SystemInferenceProfile,
    /// An application inference profile.
    ApplicationInferenceProfile,
    /// Provisioned Throughput.
    ProvisionedThroughput,
    /// A custom model deployed on demand.
    CustomModelDeployment,
    /// An imported model.
    ImportedModel,
    /// A prompt of Prompt management.
    Prompt,
    /// A prompt router.
    PromptRouter,
    /// A SageMaker endpoint.
    SagemakerEndpoint,
}

impl ModelIdKind {
    /// Returns the kind of a model ID or ARN, which its format determines.
    pub fn of(model_id: &str) -> Self {
        let Some(resource) = arn_resource(model_id) else {
            return match geography_of(model_id) {
                Some(_) => Self::SystemInferenceProfile,
                None => Self::OnDemand,
            };
        };
        match resource.split('/').next().unwrap_or_default() {
            "inference-profile" => Self::SystemInferenceProfile,
            "application-inference-profile" => Self::ApplicationInferenceProfile,
            "provisioned-model" => Self::ProvisionedThroughput,
            "custom-model-deployment" => Self::CustomModelDeployment,
            "imported-model" => Self::ImportedModel,
            "prompt" => Self::Prompt,
            "prompt-router" | "default-prompt-router" => Self::PromptRouter,
            "endpoint" => Self::SagemakerEndpoint,
            _ => Self::OnDemand,
        }
    }
}

/// Returns the geography of a system inference profile, given its ID or ARN: `eu` for
/// `eu.amazon.nova-lite-v1:0`.
pub fn geography_of(model_id: &str) -> Option<Geography> {
    let id = match arn_resource(model_id) {
        Some(resource) => resource.strip_prefix("inference-profile/")?,
        None => model_id,
    };
    let (geography, model) = id.split_once('.')?;
    // `us.anthropic.claude…` is a profile, but `zai.glm-4.7` is a model.
    if model.contains('.') {
        Geography::named(geography)
    } else {
        None
    }
}

/// Returns the ID of an inference profile, given its ID or ARN.
pub fn profile_id(model_id: &str) -> &str {
    arn_resource(model_id)
        .and_then(|resource| resource.split_once('/'))
        .map_or(model_id, |(_, id)| id)
}

/// Returns the foundation model that a model ID or ARN names, directly or by a system inference
/// profile. `None` for other kinds, whose IDs do not contain the model.
pub fn foundation_model(model_id: &str) -> Option<&str> {
    let id = profile_id(model_id);
    match ModelIdKind::of(model_id) {
        ModelIdKind::OnDemand => Some(id),
        ModelIdKind::SystemInferenceProfile => {
            geography_of(model_id)?;
            id.split_once('.').map(|(_, model)| model)
        }
        _ => None,
    }
}

/// Returns the Region in a foundation model's ARN, which is a destination Region of an inference
/// profile. Empty for global profiles, whose ARNs contain no Region.
pub fn region_of_model(arn: &str) -> &str {
    region_of_arn(arn).unwrap_or_default()
}

/// Returns whether a target is a model ID or ARN: aliases contain neither `.` nor `:`.
pub fn is_raw(target: &str) -> bool {
    target.contains(['.', ':'])
}

/// Returns the Region of an ARN, if it contains one.
pub fn region_of_arn(model_id: &str) -> Option<&str> {
    let region = arn_parts(model_id)?.nth(3)?;
    (!region.is_empty()).then_some(region)
}

/// Returns the AWS account of an ARN, if it contains one.
pub fn account_of_arn(model_id: &str) -> Option<&str> {
    let account = arn_parts(model_id)?.nth(4)?;
    (!account.is_empty()).then_some(account)
}

/// Returns the resource of an ARN, which follows the account: `inference-profile/us.anthropic…`.
fn arn_resource(model_id: &str) -> Option<&str> {
    arn_parts(model_id)?.nth(5)
}

/// Splits `arn:partition:service:region:account:resource`. The resource may contain colons.
fn arn_parts(model_id: &str) -> Option<std::str::SplitN<'_, char>> {
    model_id
        .starts_with("arn:")
        .then(|| model_id.splitn(6, ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_from_ids_and_arns() {
        let account = "arn:aws:bedrock:eu-west-1:123456789012";
        for (id, kind) in [
            ("anthropic.claude-sonnet-5", ModelIdKind::OnDemand),
            (
                "us.anthropic.claude-sonnet-5",
                ModelIdKind::SystemInferenceProfile,
            ),
            (
                "us-gov.anthropic.claude-sonnet-5",
                ModelIdKind::SystemInferenceProfile,
            ),
            ("zai.glm-4.7", ModelIdKind::OnDemand),
            (
                "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0",
                ModelIdKind::OnDemand,
            ),
            (
                &format!("{account}:inference-profile/eu.amazon.nova-lite-v1:0"),
                ModelIdKind::SystemInferenceProfile,
            ),
            (
                &format!("{account}:application-inference-profile/abc"),
                ModelIdKind::ApplicationInferenceProfile,
            ),
            (
                &format!("{account}:provisioned-model/abc"),
                ModelIdKind::ProvisionedThroughput,
            ),
            (
                &format!("{account}:prompt/PROMPT12345:1"),
                ModelIdKind::Prompt,
            ),
            (
                &format!("{account}:default-prompt-router/x:1"),
                ModelIdKind::PromptRouter,
            ),
        ] {
            assert_eq!(ModelIdKind::of(id), kind, "{id}");
        }
    }

    #[test]
    fn an_arn_names_its_region() {
        assert_eq!(
            region_of_arn("arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0"),
            Some("eu-west-1")
        );
        assert_eq!(region_of_arn("arn:aws:bedrock:::foundation-model/x"), None);
        assert_eq!(region_of_arn("us.anthropic.claude-sonnet-5"), None);
    }
}
