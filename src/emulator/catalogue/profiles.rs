//! Inference profiles, made from the models: what a source Region sees, and where its calls may be served.

use super::{
    ACCOUNT,
    models::{MODELS, Model},
};

/// The prefix of a system-defined profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Geography {
    /// `us.`
    Us,
    /// `eu.`
    Eu,
    /// `apac.`
    Apac,
    /// `global.`: from every source Region to any Region.
    Global,
}

impl Geography {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::Apac => "apac",
            Self::Global => "global",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Us => "US",
            Self::Eu => "EU",
            Self::Apac => "APAC",
            Self::Global => "Global",
        }
    }

    /// The Regions that may serve calls from any source in it. At most four, as the API's model allows five with the source.
    const fn core(self) -> &'static [&'static str] {
        match self {
            Self::Us => &["us-east-1", "us-east-2", "us-west-2"],
            Self::Eu => &["eu-central-1", "eu-north-1", "eu-west-1", "eu-west-3"],
            Self::Apac => &[
                "ap-northeast-1",
                "ap-northeast-2",
                "ap-southeast-1",
                "ap-southeast-2",
            ],
            Self::Global => &[],
        }
    }

    /// Source Regions beside the core: their calls may be served at home, too.
    const fn fringe(self) -> &'static [&'static str] {
        match self {
            Self::Us => &["us-west-1"],
            Self::Eu => &["eu-south-1", "eu-south-2"],
            Self::Apac => &[
                "ap-northeast-3",
                "ap-south-1",
                "ap-south-2",
                "ap-southeast-4",
            ],
            Self::Global => &[
                "ca-central-1",
                "sa-east-1",
                "eu-west-2",
                "il-central-1",
                "me-central-1",
            ],
        }
    }

    /// Whether calls from this Region may use the profile.
    pub fn has_source(self, region: &str) -> bool {
        let own = |geography: Self| {
            geography.core().contains(&region) || geography.fringe().contains(&region)
        };
        match self {
            Self::Global => [Self::Us, Self::Eu, Self::Apac, Self::Global]
                .into_iter()
                .any(own),
            _ => own(self),
        }
    }

    /// Where calls from this source Region may be served.
    fn destinations(self, source: &str) -> Vec<String> {
        let mut regions: Vec<String> = self
            .core()
            .iter()
            .map(|&region| region.to_owned())
            .collect();
        if !regions.iter().any(|region| region == source) {
            regions.push(source.to_owned());
        }
        regions.sort();
        regions
    }
}

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
