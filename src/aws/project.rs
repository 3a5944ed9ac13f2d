//! Parses the identifiers of Bedrock's projects.

use super::{ModelIdKind, model_id};

/// The identifier of the project that every account has. Calls that name no project use it.
pub const DEFAULT: &str = "default";
/// The maximum length of an identifier, in characters. Source: Bedrock's service model.
pub const MAX_CHARS: usize = 2048;

/// The partitions of AWS, as Bedrock's service model lists them.
const PARTITIONS: [&str; 7] = [
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-f",
    "aws-eusc",
];

/// Returns whether a text is an ID of letters, digits, `-` and `_`, or the ARN of a project.
///
/// Source: Bedrock's service model.
pub fn is_identifier(text: &str) -> bool {
    let is_id = |text: &str| {
        let mut characters = text.bytes();
        !text.is_empty() && characters.all(|c| c.is_ascii_alphanumeric() || b"-_".contains(&c))
    };
    if text.len() > MAX_CHARS {
        return false;
    }
    let parts: Vec<_> = text.split(':').collect();
    match parts[..] {
        [id] => is_id(id),
        ["arn", partition, "bedrock", region, account, resource] => {
            let is_in_region = |c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-');
            PARTITIONS.contains(&partition)
                && (1..=20).contains(&region.len())
                && region.bytes().all(is_in_region)
                && account.len() == 12
                && account.bytes().all(|c| c.is_ascii_digit())
                && resource.strip_prefix("project/").is_some_and(is_id)
        }
        _ => false,
    }
}

/// Returns the Region of a project, if the identifier is an ARN.
pub fn region(identifier: &str) -> Option<&str> {
    model_id::region_of_arn(identifier)
}

/// Returns the AWS account of a project, if the identifier is an ARN.
pub fn account(identifier: &str) -> Option<&str> {
    model_id::account_of_arn(identifier)
}

/// Returns what a model ID names, if calls of it cannot use another project than the default one:
/// Bedrock accepts such projects only for foundation models and system-defined profiles.
pub const fn never_in_project(kind: ModelIdKind) -> Option<&'static str> {
    match kind {
        ModelIdKind::ApplicationInferenceProfile => Some("an application inference profile"),
        ModelIdKind::ProvisionedThroughput => Some("Provisioned Throughput"),
        ModelIdKind::CustomModelDeployment => Some("a custom model"),
        ModelIdKind::ImportedModel => Some("an imported model"),
        ModelIdKind::SagemakerEndpoint => Some("an endpoint of SageMaker"),
        // Prompts and prompt routers can resolve to a foundation model.
        ModelIdKind::OnDemand
        | ModelIdKind::SystemInferenceProfile
        | ModelIdKind::Prompt
        | ModelIdKind::PromptRouter => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_an_id_or_an_arn() {
        for good in [
            "default",
            "a_B-9",
            "arn:aws:bedrock:us-east-1:123456789012:project/a_B-9",
            "arn:aws-eusc:bedrock:eusc-de-east-1:123456789012:project/x",
        ] {
            assert!(is_identifier(good), "{good}");
        }
        for bad in [
            "",
            "a.b",
            "a b",
            "é",
            "a\"b",
            "arn:aws-x:bedrock:us-east-1:123456789012:project/x",
            "arn:aws:s3:us-east-1:123456789012:project/x",
            "arn:aws:bedrock::123456789012:project/x",
            "arn:aws:bedrock:US-EAST-1:123456789012:project/x",
            "arn:aws:bedrock:us-east-1:12345678901:project/x",
            "arn:aws:bedrock:us-east-1:123456789012:project/",
            "arn:aws:bedrock:us-east-1:123456789012:project/x/y",
            "arn:aws:bedrock:us-east-1:123456789012:prompt/x",
        ] {
            assert!(!is_identifier(bad), "{bad}");
        }
        assert!(is_identifier(&"x".repeat(MAX_CHARS)));
        assert!(!is_identifier(&"x".repeat(MAX_CHARS + 1)));
    }
}
