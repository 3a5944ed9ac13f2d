//! Inference profiles, made from the models: what a source Region sees, and where its calls may be served.

use super::{
    geography::Geography,
    models::{MODELS, Model},
};

/// The account that owns what the emulator lists. Documentation's own example number.
pub const ACCOUNT: &str = "123456789012";

/// Who made a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileType {
    /// AWS.
    SystemDefined,
    /// The account, as a copy with a name and tags of its own.
    Application,
}

impl ProfileType {
    /// `type` in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SystemDefined => "SYSTEM_DEFINED",
            Self::Application => "APPLICATION",
        }
    }

    /// The resource type in its ARN.
    pub(super) const fn resource(self) -> &'static str {
        match self {
            Self::SystemDefined => "inference-profile",
            Self::Application => "application-inference-profile",
        }
    }
}

/// An inference profile, as one source Region sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// `inferenceProfileId`.
    pub id: String,
    /// `inferenceProfileName`.
    pub name: String,
    /// `description`.
    pub description: String,
    /// `inferenceProfileArn`.
    pub arn: String,
    /// `models[].modelArn`, one for each destination.
    pub model_arns: Vec<String>,
    /// `type`.
    pub kind: ProfileType,
    /// `createdAt`, ISO 8601.
    pub since: &'static str,
}

/// The application profiles of the account: ID, name, model.
const APPLICATIONS: [(&str, &str, &str); 2] = [
    (
        "emulator0001",
        "emulator-search-team",
        "amazon.nova-lite-v1:0",
    ),
    (
        "emulator0002",
        "emulator-support-team",
        "anthropic.claude-sonnet-4-20250514-v1:0",
    ),
];

/// All profiles of a source Region, in the order in which they are listed.
pub fn list(region: &str) -> Vec<Profile> {
    let system = MODELS.iter().flat_map(|model| {
        let there = model
            .profiles
            .iter()
            .filter(|geography| geography.has_source(region));
        there.map(|geography| system_defined(model, *geography, region))
    });
    let applications = APPLICATIONS.iter().filter_map(|(id, name, model)| {
        let model = Model::find(model)?;
        let geography = model
            .profiles
            .iter()
            .find(|geography| geography.has_source(region))?;
        Some(Profile {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            description: format!("Copy of {}.{}", geography.prefix(), model.id),
            arn: arn(ProfileType::Application, id, region),
            kind: ProfileType::Application,
            ..system_defined(model, *geography, region)
        })
    });
    system.chain(applications).collect()
}

/// The profile of this ID that a source Region has.
pub fn find(id: &str, region: &str) -> Option<Profile> {
    list(region).into_iter().find(|profile| profile.id == id)
}

fn arn(kind: ProfileType, id: &str, region: &str) -> String {
    format!(
        "arn:aws:bedrock:{region}:{ACCOUNT}:{}/{id}",
        kind.resource()
    )
}

fn system_defined(model: &Model, geography: Geography, source: &str) -> Profile {
    let id = format!("{}.{}", geography.prefix(), model.id);
    let title = format!("{} {} {}", geography.label(), model.provider, model.name);
    let (model_arns, place) = if geography == Geography::Global {
        let anywhere = format!("arn:aws:bedrock:::foundation-model/{}", model.id);
        (vec![model.arn(source), anywhere], "globally".to_owned())
    } else {
        let regions = geography.destinations(source);
        let place = format!("in {}", regions.join(" "));
        (
            regions.iter().map(|region| model.arn(region)).collect(),
            place,
        )
    };
    Profile {
        arn: arn(ProfileType::SystemDefined, &id, source),
        id,
        name: title,
        description: format!(
            "Routes requests to {} {} {place}.",
            model.provider, model.name
        ),
        model_arns,
        kind: ProfileType::SystemDefined,
        since: model.since,
    }
}
