//! The origin of an answer, in the form that clients receive.

use crate::{
    aws::Kind,
    pb::{self, TargetKind},
    routing::{Route, Target, attempts::Attempt},
};

/// Returns an attempt as a message.
pub(super) fn attempt(attempt: &Attempt) -> pb::Attempt {
    pb::Attempt {
        model_id: attempt.route.model_id.clone(),
        source_region: attempt.route.source_region.clone(),
        failure_reason: attempt
            .failure
            .map_or_else(String::new, |reason| reason.as_str().to_owned()),
        bedrock_request_id: attempt.request_id.clone(),
        duration: prost_types::Duration::try_from(attempt.duration).ok(),
        account: attempt.route.account.as_ref().to_owned(),
    }
}

/// Returns what a target was resolved to.
pub(super) fn target(target: &Target, route: &Route) -> pb::ResolvedTarget {
    pb::ResolvedTarget {
        name: target.name.clone(),
        model_id: route.model_id.clone(),
        kind: self::kind(route.kind).into(),
        source_region: route.source_region.clone(),
        destination_regions: route.destination_regions(),
        account: route.account.as_ref().to_owned(),
    }
}

/// Returns the API's value for a kind of model ID.
pub(crate) const fn kind(kind: Kind) -> TargetKind {
    match kind {
        Kind::OnDemand => TargetKind::OnDemand,
        Kind::SystemInferenceProfile => TargetKind::SystemInferenceProfile,
        Kind::ApplicationInferenceProfile => TargetKind::ApplicationInferenceProfile,
        Kind::ProvisionedThroughput => TargetKind::ProvisionedThroughput,
        Kind::CustomModelDeployment => TargetKind::CustomModelDeployment,
        Kind::ImportedModel => TargetKind::ImportedModel,
        Kind::Prompt => TargetKind::Prompt,
        Kind::PromptRouter => TargetKind::PromptRouter,
        Kind::SagemakerEndpoint => TargetKind::SagemakerEndpoint,
    }
}
