//! Resolves a `modelId` in a source Region: to which model it leads, and how the model is invoked.

use super::{
    account::Account,
    answer,
    catalogue::{Arn, Geography, Model, Profile, ProfileType, Provisioned},
    error::WireError,
    projects::Visibility,
    script::ApiError,
};

/// The kinds of resources that can resolve to a foundation model or to a system-defined profile, so
/// that calls of any project may name them.
const IN_PROJECTS: [&str; 5] = [
    "foundation-model",
    "inference-profile",
    "prompt",
    "prompt-router",
    "default-prompt-router",
];

/// The meaning of a `modelId`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The foundation model that is called. `None` for resources of the account whose model is not
    /// known, such as prompts or imported models.
    pub(super) model: Option<&'static Model>,
    pub(super) way: Way,
}

/// How a model is invoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// On demand, in the source Region.
    OnDemand,
    /// Through an inference profile, in one of these Regions.
    Profile {
        geography: Geography,
        destinations: Vec<String>,
    },
    /// Through a resource of the account that has no quota, such as Provisioned Throughput or an
    /// imported model.
    Unmetered,
}

impl Target {
    const fn unknown() -> Self {
        Self {
            model: None,
            way: Way::Unmetered,
        }
    }

    /// Returns the model behind an ARN that does not name it: the ARN of an application profile or
    /// of Provisioned Throughput.
    pub(super) fn opaque_model(&self, model_id: &str) -> Option<&'static str> {
        let opaque = Arn::parse(model_id).is_some_and(|arn| {
            matches!(
                arn.kind,
                "application-inference-profile" | "provisioned-model"
            )
        });
        self.model.filter(|_| opaque).map(|model| model.id)
    }

    fn profile(profile: &Profile, source: &str) -> Self {
        let way = match profile.geography {
            None => Way::OnDemand,
            Some(geography) => Way::Profile {
                geography,
                destinations: profile.destinations(source),
            },
        };
        Self {
            model: Some(profile.model),
            way,
        }
    }
}

/// Resolves `model_id` in this Region.
///
/// # Errors
/// Returns Bedrock's validation error if the identifier is unknown in the Region or hidden from the
/// call's project, if the model requires an inference profile, or if the call has a project with
/// which only models and system-defined profiles can be called.
pub(super) fn resolve(
    model_id: &str,
    region: &str,
    account: &Account,
    visible: &Visibility,
) -> Result<Target, WireError> {
    let Some(arn) = Arn::parse(model_id) else {
        return by_id(model_id, region, account, visible);
    };
    if arn.region != region {
        return Err(invalid());
    }
    if visible.has_project() && !IN_PROJECTS.contains(&arn.kind) {
        return Err(not_in_projects());
    }
    if !visible.shows(arn.id) {
        return Err(invalid());
    }
    match arn.kind {
        "foundation-model" if arn.account.is_empty() => on_demand(arn.id, region),
        "inference-profile" | "application-inference-profile" if arn.is_owned() => {
            let profile = account
                .find(arn.id, region)
                .filter(|profile| profile.kind.resource() == arn.kind);
            let profile = profile.ok_or_else(invalid)?;
            Ok(Target::profile(&profile, region))
        }
        // Only the owner of an unknown ID can know its model, so only the format of the ID is
        // checked.
        "provisioned-model" if arn.is_owned() && !arn.id.is_empty() => Ok(Target {
            model: Provisioned::find(arn.id, region).and_then(Provisioned::model),
            way: Way::Unmetered,
        }),
        "prompt-router" | "default-prompt-router" if arn.is_owned() && !arn.id.is_empty() => {
            let chosen = answer::routed(model_id);
            let chosen = chosen.as_deref().and_then(Arn::parse);
            Ok(match chosen.and_then(|arn| Model::find(arn.id)) {
                Some(model) => Target {
                    model: Some(model),
                    way: Way::OnDemand,
                },
                None => Target::unknown(),
            })
        }
        "custom-model" | "custom-model-deployment" | "imported-model" | "prompt" | "endpoint"
            if arn.is_owned() && !arn.id.is_empty() =>
        {
            Ok(Target::unknown())
        }
        _ => Err(invalid()),
    }
}

fn by_id(
    id: &str,
    region: &str,
    account: &Account,
    visible: &Visibility,
) -> Result<Target, WireError> {
    if !visible.shows(id) {
        return Err(invalid());
    }
    match account.find(id, region) {
        Some(profile) if profile.kind == ProfileType::SystemDefined => {
            Ok(Target::profile(&profile, region))
        }
        // Application profiles can be called only by their ARN, so an ID must name a model.
        _ => on_demand(id, region),
    }
}

fn on_demand(id: &str, region: &str) -> Result<Target, WireError> {
    let model = Model::find(id)
        .filter(|model| model.is_in(region))
        .ok_or_else(invalid)?;
    if model.on_demand {
        return Ok(Target {
            model: Some(model),
            way: Way::OnDemand,
        });
    }
    let message = format!(
        "Invocation of model ID {id} with on-demand throughput isn\u{2019}t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
    );
    Err(ApiError::validation(message).into())
}

fn not_in_projects() -> WireError {
    let message = "The inference target must resolve to a foundation model or a system-defined inference profile when a project other than the default project is specified.";
    ApiError::validation(message).into()
}

fn invalid() -> WireError {
    ApiError::validation("The provided model identifier is invalid.").into()
}
