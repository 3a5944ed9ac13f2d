//! Converts the target and the attempts of an answer to messages for clients.

use crate::{
    aws::ModelIdKind,
    error::Failure,
    pb::{self, TargetKind},
    routing::{Route, Target, attempts::Attempt},
};

/// Converts the attempts of a call to messages.
pub(crate) fn attempts(made: &[Attempt]) -> Vec<pb::Attempt> {
    made.iter().map(attempt).collect()
}

fn attempt(attempt: &Attempt) -> pb::Attempt {
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

/// Converts the attempts of a call that ended with this failure to messages.
pub(super) fn attempts_until(made: &[Attempt], failure: &Failure) -> Vec<pb::Attempt> {
    let mut attempts = attempts(made);
    // The last attempt has no reason yet if it failed after the first event, or if the call ended
    // while it waited for the first event.
    if let Some(last) = attempts.last_mut()
        && last.failure_reason.is_empty()
    {
        failure.reason.as_str().clone_into(&mut last.failure_reason);
    }
    attempts
}

/// Returns the message that describes the route to which a target was resolved.
pub(crate) fn target(target: &Target, route: &Route) -> pb::ResolvedTarget {
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
pub(crate) const fn kind(kind: ModelIdKind) -> TargetKind {
    match kind {
        ModelIdKind::OnDemand => TargetKind::OnDemand,
        ModelIdKind::SystemInferenceProfile => TargetKind::SystemInferenceProfile,
        ModelIdKind::ApplicationInferenceProfile => TargetKind::ApplicationInferenceProfile,
        ModelIdKind::ProvisionedThroughput => TargetKind::ProvisionedThroughput,
        ModelIdKind::CustomModelDeployment => TargetKind::CustomModelDeployment,
        ModelIdKind::ImportedModel => TargetKind::ImportedModel,
        ModelIdKind::Prompt => TargetKind::Prompt,
        ModelIdKind::PromptRouter => TargetKind::PromptRouter,
        ModelIdKind::SagemakerEndpoint => TargetKind::SagemakerEndpoint,
    }
}
