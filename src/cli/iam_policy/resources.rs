//! Converts model IDs, ARNs and patterns into ARNs for IAM.

use crate::aws::{Geography, ModelIdKind, model_id};

/// The account and the Region of resources that a configuration names only by their IDs.
#[derive(Debug)]
pub(super) struct Names {
    /// The account ID, or `*` for any account.
    pub(super) account: String,
    /// The source Region of targets that name none.
    pub(super) region: Option<String>,
}

/// The resources that one model ID needs in one source Region.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The ARNs that requests name: of models, profiles or provisioned models.
    pub(super) called: Vec<String>,
    /// The ARNs of the models to which an inference profile leads.
    pub(super) behind: Vec<String>,
    /// The ARNs without a Region of the models to which a global profile leads.
    pub(super) anywhere: Vec<String>,
    /// What the model ID or ARN does not reveal, for a note.
    pub(super) unknown: Option<&'static str>,
}

impl Names {
    /// Returns the resources that a model ID, an ARN or a pattern needs in a source Region.
    pub(super) fn needs(&self, model_id: &str, source_region: &str) -> Needs {
        if model_id.starts_with("arn:") {
            return of_arn(model_id);
        }
        let partition = partition_of(source_region);
        let (head, rest) = model_id.split_once('.').unwrap_or((model_id, ""));
        match Geography::named(head) {
            // An ID such as `us.anthropic.claude…`, or a pattern such as `us.*`.
            Some(geography) if rest.contains(['.', '*']) => Needs {
                called: vec![self.profile(partition, source_region, model_id)],
                ..behind(partition, source_region, geography, rest)
            },
            // A pattern such as `*` or `*.claude…` can match both models and profiles.
            _ if head.contains('*') => Needs {
                called: vec![
                    self.profile(partition, source_region, model_id),
                    model(partition, source_region, model_id),
                ],
                behind: vec![model(partition, "*", "*")],
                anywhere: vec![model(partition, "", "*")],
                unknown: Some(
                    "which ARNs callers may name; the policy allows models and AWS's own profiles, so add other ARNs",
                ),
            },
            _ => Needs {
                called: vec![model(partition, source_region, model_id)],
                ..Needs::default()
            },
        }
    }

    /// Returns the ARN of a guardrail, given its ID or ARN.
    pub(super) fn guardrail(&self, identifier: &str, source_region: &str) -> String {
        if identifier.starts_with("arn:") {
            return identifier.to_owned();
        }
        let partition = partition_of(source_region);
        let account = &self.account;
        format!("arn:{partition}:bedrock:{source_region}:{account}:guardrail/{identifier}")
    }

    fn profile(&self, partition: &str, region: &str, id: &str) -> String {
        let account = &self.account;
        format!("arn:{partition}:bedrock:{region}:{account}:inference-profile/{id}")
    }
}

fn of_arn(arn: &str) -> Needs {
    let called = vec![arn.to_owned()];
    let partition = arn.split(':').nth(1).unwrap_or("aws");
    match ModelIdKind::of(arn) {
        ModelIdKind::SystemInferenceProfile => {
            let id = model_id::profile_id(arn);
            let region = model_id::region_of_arn(arn).unwrap_or("*");
            let model_behind = id.split_once('.').map_or("*", |(_, model)| model);
            match model_id::geography_of(arn) {
                Some(geography) => Needs {
                    called,
                    ..behind(partition, region, geography, model_behind)
                },
                None => any_model_behind(called, partition),
            }
        }
        ModelIdKind::ApplicationInferenceProfile => Needs {
            unknown: Some("the model behind it; the policy allows all models, but only through it"),
            ..any_model_behind(called, partition)
        },
        ModelIdKind::Prompt => Needs {
            called,
            unknown: Some("the model behind it; allow that model and bedrock:RenderPrompt"),
            ..Needs::default()
        },
        ModelIdKind::PromptRouter => Needs {
            called,
            unknown: Some("the models behind it; allow them"),
            ..Needs::default()
        },
        ModelIdKind::SagemakerEndpoint => Needs {
            called,
            unknown: Some(
                "the permissions of the endpoint; allow them, such as sagemaker:InvokeEndpoint",
            ),
            ..Needs::default()
        },
        ModelIdKind::OnDemand
        | ModelIdKind::ProvisionedThroughput
        | ModelIdKind::CustomModelDeployment
        | ModelIdKind::ImportedModel => Needs {
            called,
            ..Needs::default()
        },
    }
}

fn any_model_behind(called: Vec<String>, partition: &str) -> Needs {
    Needs {
        called,
        behind: vec![model(partition, "*", "*")],
        anywhere: vec![model(partition, "", "*")],
        unknown: None,
    }
}

/// Returns the ARNs for a system inference profile. It leads to models in its source Region and its
/// geography.
fn behind(partition: &str, source_region: &str, geography: Geography, id: &str) -> Needs {
    let mut models = vec![model(partition, source_region, id)];
    let mut anywhere = Vec::new();
    if geography.is_global() {
        anywhere.push(model(partition, "", id));
    } else {
        let regions = geography.region_patterns();
        models.extend(regions.map(|region| model(partition, region, id)));
    }
    Needs {
        behind: models,
        anywhere,
        ..Needs::default()
    }
}

fn model(partition: &str, region: &str, id: &str) -> String {
    format!("arn:{partition}:bedrock:{region}::foundation-model/{id}")
}

pub(super) fn partition_of(region: &str) -> &'static str {
    [
        ("us-gov-", "aws-us-gov"),
        ("cn-", "aws-cn"),
        ("eusc-", "aws-eusc"),
    ]
    .into_iter()
    .find(|(beginning, _)| region.starts_with(beginning))
    .map_or("aws", |(_, partition)| partition)
}
