//! Derives inference profiles from the models: the profiles that a source Region lists, and the
//! Regions that may serve their calls.

use super::{
    geography::Geography,
    models::{MODELS, Model},
};

/// The account that owns the resources of the emulator. It is the example account in AWS's
/// documentation.
pub const ACCOUNT: &str = "123456789012";

/// The creator of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileType {
    /// AWS created the profile.
    SystemDefined,
    /// The account created the profile. It is a copy of another profile or a model, with its own
    /// name and tags.
    Application,
}

impl ProfileType {
    /// Returns the value of `type` in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SystemDefined => "SYSTEM_DEFINED",
            Self::Application => "APPLICATION",
        }
    }

    /// Returns the resource type in the ARN of the profile.
    pub(crate) const fn resource(self) -> &'static str {
        match self {
            Self::SystemDefined => "inference-profile",
            Self::Application => "application-inference-profile",
        }
    }
}

/// An inference profile, as one source Region lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// `inferenceProfileId`.
    pub id: String,
    /// `inferenceProfileName`.
    pub name: String,
    /// `description`.
    pub description: Option<String>,
    /// `inferenceProfileArn`.
    pub arn: String,
    /// `models[].modelArn`. There is one model ARN for each destination Region.
    pub model_arns: Vec<String>,
    /// `type`.
    pub kind: ProfileType,
    /// `createdAt`, in ISO 8601.
    pub created: String,
    /// The model that the profile calls.
    pub model: &'static Model,
    /// The geography. `None` for a copy of a foundation model, because its calls stay in one
    /// Region.
    pub geography: Option<Geography>,
}

impl Profile {
    /// Returns the Regions that may serve calls from this source Region.
    pub fn destinations(&self, source: &str) -> Vec<String> {
        match self.geography {
            Some(geography) => geography.destinations(source),
            None => vec![source.to_owned()],
        }
    }
}

/// Returns the profiles that AWS defines in a source Region, in the order in which they are listed.
pub fn system_profiles(region: &str) -> Vec<Profile> {
    let all = MODELS.iter().flat_map(|model| {
        let there = model
            .profiles
            .iter()
            .filter(|geography| geography.has_source(region));
        there.map(|geography| system_defined(model, *geography, region))
    });
    all.collect()
}

/// The application profiles that the account initially has in a source Region, each with its ID,
/// its name and its model.
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

/// Returns the application profiles that the account initially has in a source Region.
pub(crate) fn first_applications(region: &str) -> Vec<Profile> {
    let all = APPLICATIONS.iter().filter_map(|(id, name, model)| {
        let model = Model::find(model)?;
        let geography = model
            .profiles
            .iter()
            .find(|geography| geography.has_source(region))?;
        let source = system_defined(model, *geography, region);
        let description = format!("Copy of {}", source.id);
        Some(application(
            id,
            name,
            Some(description),
            source.created.clone(),
            source,
            region,
        ))
    });
    all.collect()
}

/// Creates an application profile: a copy of another profile with its own ID and name.
pub(crate) fn application(
    id: &str,
    name: &str,
    description: Option<String>,
    created: String,
    source: Profile,
    region: &str,
) -> Profile {
    Profile {
        id: id.to_owned(),
        name: name.to_owned(),
        description,
        arn: arn(ProfileType::Application, id, region),
        kind: ProfileType::Application,
        created,
        ..source
    }
}

/// Returns the profile from which an application profile of a foundation model is created. Its
/// calls stay in the Region.
pub(crate) fn of_model(model: &'static Model, region: &str) -> Profile {
    Profile {
        id: model.id.to_owned(),
        name: model.name.to_owned(),
        description: None,
        arn: model.arn(region),
        model_arns: vec![model.arn(region)],
        kind: ProfileType::SystemDefined,
        created: model.since.to_owned(),
        model,
        geography: None,
    }
}

fn arn(kind: ProfileType, id: &str, region: &str) -> String {
    format!(
        "arn:aws:bedrock:{region}:{ACCOUNT}:{}/{id}",
        kind.resource()
    )
}

fn system_defined(model: &'static Model, geography: Geography, source: &str) -> Profile {
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
        description: Some(format!(
            "Routes requests to {} {} {place}.",
            model.provider, model.name
        )),
        model_arns,
        kind: ProfileType::SystemDefined,
        created: model.since.to_owned(),
        model,
        geography: Some(geography),
    }
}
