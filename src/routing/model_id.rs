//! What a model ID says of itself. Bedrock takes one string for all ways of consuming a model.

/// Ways of consuming a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A model on demand in the source Region.
    OnDemand,
    /// A cross-region inference profile that AWS defined.
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

/// Geographies by which AWS names its inference profiles. New ones appear; until then their profiles count as models, which changes
/// nothing but what the gateway says of them.
const GEOGRAPHIES: [&str; 8] = ["global", "us", "eu", "apac", "jp", "au", "ca", "us-gov"];

impl Kind {
    /// The kind of a model ID or ARN, by its form.
    pub fn of(model_id: &str) -> Self {
        let Some(resource) = arn_resource(model_id) else {
            let is_profile = model_id.split_once('.').is_some_and(|(geography, model)| {
                GEOGRAPHIES.contains(&geography) && model.contains('.')
            });
            return if is_profile {
                Self::SystemInferenceProfile
            } else {
                Self::OnDemand
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

/// Whether a target is a model ID or ARN: aliases hold neither `.` nor `:`.
pub fn is_raw(target: &str) -> bool {
    target.contains(['.', ':'])
}

/// The Region that an ARN names, if it is one and names one.
pub fn region_of_arn(model_id: &str) -> Option<&str> {
    let region = arn_parts(model_id)?.nth(3)?;
    (!region.is_empty()).then_some(region)
}

/// What follows the account in an ARN: `inference-profile/us.anthropic…`.
fn arn_resource(model_id: &str) -> Option<&str> {
    arn_parts(model_id)?.nth(5)
}

/// `arn:partition:service:region:account:resource`; the resource may hold colons of its own.
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
            ("anthropic.claude-sonnet-5", Kind::OnDemand),
            ("us.anthropic.claude-sonnet-5", Kind::SystemInferenceProfile),
            (
                "us-gov.anthropic.claude-sonnet-5",
                Kind::SystemInferenceProfile,
            ),
            ("zai.glm-4.7", Kind::OnDemand),
            (
                "arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0",
                Kind::OnDemand,
            ),
            (
                &format!("{account}:inference-profile/eu.amazon.nova-lite-v1:0"),
                Kind::SystemInferenceProfile,
            ),
            (
                &format!("{account}:application-inference-profile/abc"),
                Kind::ApplicationInferenceProfile,
            ),
            (
                &format!("{account}:provisioned-model/abc"),
                Kind::ProvisionedThroughput,
            ),
            (&format!("{account}:prompt/PROMPT12345:1"), Kind::Prompt),
            (
                &format!("{account}:default-prompt-router/x:1"),
                Kind::PromptRouter,
            ),
        ] {
            assert_eq!(Kind::of(id), kind, "{id}");
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
