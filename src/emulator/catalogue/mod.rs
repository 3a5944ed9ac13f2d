//! The models, inference profiles and Regions that the emulator knows, and what a `modelId` means in a source Region.

mod geography;
mod models;
mod profiles;

pub use self::{
    geography::Geography,
    models::{MODELS, Model},
    profiles::{ACCOUNT, Profile, ProfileType, find as find_profile, list as list_profiles},
};
use super::{error::WireError, script::ApiError};

/// The parts of an ARN that Bedrock may own.
pub(super) struct Arn<'a> {
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    /// What is before the first slash, such as `inference-profile`.
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
}

impl<'a> Arn<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (arn, partition) = (parts.next()?, parts.next()?);
        let service = parts.next()?;
        let (region, account) = (parts.next()?, parts.next()?);
        let (kind, id) = parts.next()?.split_once('/')?;
        let known = arn == "arn"
            && (partition == "aws" || partition.starts_with("aws-"))
            && matches!(service, "bedrock" | "sagemaker");
        known.then_some(Self {
            region,
            account,
            kind,
            id,
        })
    }
}

/// Whether this Region may call what `model_id` names.
///
/// # Errors
/// Bedrock's validation errors: an identifier that is unknown there, or a model that needs an inference profile.
pub(super) fn check(model_id: &str, region: &str) -> Result<(), WireError> {
    let Some(arn) = Arn::parse(model_id) else {
        return check_id(model_id, region);
    };
    if arn.region != region {
        return Err(invalid());
    }
    let owned = arn.account.len() == 12 && arn.account.bytes().all(|b| b.is_ascii_digit());
    match arn.kind {
        "foundation-model" if arn.account.is_empty() => check_foundation_model(arn.id, region),
        "inference-profile" | "application-inference-profile" if owned => {
            let profile = profiles::find(arn.id, region)
                .filter(|profile| profile.kind.resource() == arn.kind);
            profile.map(|_| ()).ok_or_else(invalid)
        }
        // Whatever else an account owns cannot be known here: its form must do.
        "provisioned-model"
        | "custom-model"
        | "custom-model-deployment"
        | "imported-model"
        | "prompt"
        | "prompt-router"
        | "default-prompt-router"
        | "endpoint"
            if owned && !arn.id.is_empty() =>
        {
            Ok(())
        }
        _ => Err(invalid()),
    }
}

fn check_id(id: &str, region: &str) -> Result<(), WireError> {
    match profiles::find(id, region) {
        Some(profile) if profile.kind == ProfileType::SystemDefined => Ok(()),
        // Application profiles can be called by their ARN only.
        _ => check_foundation_model(id, region),
    }
}

fn check_foundation_model(id: &str, region: &str) -> Result<(), WireError> {
    let model = Model::find(id)
        .filter(|model| model.is_in(region))
        .ok_or_else(invalid)?;
    if model.on_demand {
        return Ok(());
    }
    let message = format!(
        "Invocation of model ID {id} with on-demand throughput isn\u{2019}t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
    );
    Err(ApiError::validation(message).into())
}

fn invalid() -> WireError {
    ApiError::validation("The provided model identifier is invalid.").into()
}
