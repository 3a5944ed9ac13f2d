//! Manages the projects of the emulated accounts: which exist, which are archived, and which models
//! and profiles are visible to one project only.

use std::{
    str::FromStr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

use super::{
    catalogue::Arn,
    error::WireError,
    script::ApiError,
    shape::{self, Shape, Text},
};

/// The identifier of the default project, which every account has.
const DEFAULT: &str = "default";
const PATTERN: &str = "([a-zA-Z0-9_-]+|arn:aws(|-us-gov|-cn|-iso|-iso-b|-iso-f|-eusc):bedrock:[0-9a-z-]{1,20}:[0-9]{12}:project/[a-zA-Z0-9_-]+)";
const PARTITIONS: [&str; 7] = [
    "aws",
    "aws-us-gov",
    "aws-cn",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-f",
    "aws-eusc",
];

/// A `projectIdentifier`.
pub(crate) const IDENTIFIER: Text = Text::length(1, 2048).matching(PATTERN, is_identifier);

/// A project of an account in one Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The ARN, such as `arn:aws:bedrock:us-east-1:123456789012:project/search`.
    pub arn: String,
    /// Whether the project is archived. Calls that name an archived project are refused.
    pub is_archived: bool,
    /// The IDs of models and of system-defined profiles that only calls with such a project can see
    /// and call, as in a trusted access program.
    pub trusted_access: Vec<String>,
}

/// Parses the ARN of a project.
impl FromStr for Project {
    type Err = String;

    fn from_str(arn: &str) -> Result<Self, String> {
        if is_identifier(arn) && arn.starts_with("arn:") {
            Ok(Self {
                arn: arn.to_owned(),
                is_archived: false,
                trusted_access: Vec::new(),
            })
        } else {
            Err(format!(
                "{arn:?} is not the ARN of a project: use arn:aws:bedrock:REGION:ACCOUNT:project/ID"
            ))
        }
    }
}

impl Project {
    fn is_of(&self, region: &str, account: &str) -> bool {
        Arn::parse(&self.arn).is_some_and(|arn| arn.region == region && arn.account == account)
    }

    fn id(&self) -> &str {
        Arn::parse(&self.arn).map_or("", |arn| arn.id)
    }

    fn trusts(&self, id: &str) -> bool {
        self.trusted_access.iter().any(|trusted| trusted == id)
    }
}

/// All projects.
#[derive(Debug)]
pub(crate) struct Projects(Mutex<Vec<Project>>);

/// What a call with its project can see.
#[derive(Debug, Default)]
pub(crate) struct Visibility {
    /// The project, unless it is the default project.
    project: Option<Project>,
    /// The IDs that only other projects can see.
    hidden: Vec<String>,
}

impl Visibility {
    /// Returns whether the call names a project other than the default project.
    pub(crate) const fn has_project(&self) -> bool {
        self.project.is_some()
    }

    /// Returns whether the call can see a model or a profile with this ID.
    pub(crate) fn shows(&self, id: &str) -> bool {
        !self.hidden.iter().any(|hidden| hidden == id)
    }
}

impl Projects {
    pub(crate) const fn new(projects: Vec<Project>) -> Self {
        Self(Mutex::new(projects))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Project>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn list(&self) -> Vec<Project> {
        self.lock().clone()
    }

    /// Adds a project, or replaces the project with the same ARN.
    pub(crate) fn set(&self, project: Project) {
        let mut all = self.lock();
        all.retain(|known| known.arn != project.arn);
        all.push(project);
    }

    pub(crate) fn remove(&self, arn: &str) {
        self.lock().retain(|known| known.arn != arn);
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Finds the project of a call in a Region and an account.
    ///
    /// # Errors
    /// Returns Bedrock's validation error if the identifier is malformed, or if the account has no
    /// active project with this identifier in the Region.
    pub(crate) fn of_call(
        &self,
        identifier: Option<&str>,
        region: &str,
        account: &str,
    ) -> Result<Visibility, WireError> {
        let identifier = identifier.unwrap_or(DEFAULT);
        let parameter = [("projectIdentifier", identifier, &IDENTIFIER)];
        shape::check(&parameter, &Value::Null, &Shape::Document)?;
        let all = self.lock();
        let there = || all.iter().filter(|known| known.is_of(region, account));
        let project = match Arn::parse(identifier) {
            None if identifier == DEFAULT => None,
            Some(arn) if arn.region != region || arn.account != account => {
                return Err(invalid(&format!(
                    "Project {identifier} does not belong to your account in this Region."
                )));
            }
            _ => {
                let found = there()
                    .find(|known| known.arn == identifier || known.id() == identifier)
                    .ok_or_else(|| invalid(&format!("Project {identifier} doesn't exist.")))?;
                if found.is_archived {
                    return Err(invalid(&format!("Project {identifier} is not active.")));
                }
                Some(found.clone())
            }
        };
        let hidden = there()
            .flat_map(|known| &known.trusted_access)
            .filter(|id| project.as_ref().is_none_or(|own| !own.trusts(id)));
        Ok(Visibility {
            hidden: hidden.cloned().collect(),
            project,
        })
    }
}

fn invalid(message: &str) -> WireError {
    ApiError::validation(message).into()
}

fn is_identifier(text: &str) -> bool {
    let is_id = |text: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [id] => is_id(id),
        ["arn", partition, "bedrock", region, account, resource] => {
            PARTITIONS.contains(partition)
                && (1..=20).contains(&region.len())
                && region
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.strip_prefix("project/").is_some_and(is_id)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_what_the_service_model_says() {
        let model = regex::Regex::new(&format!("^{PATTERN}$")).unwrap();
        for text in [
            "default",
            "a_B-9",
            "",
            "a.b",
            "a b",
            "arn:aws:bedrock:us-east-1:123456789012:project/a_B-9",
            "arn:aws-eusc:bedrock:eusc-de-east-1:123456789012:project/x",
            "arn:aws-x:bedrock:us-east-1:123456789012:project/x",
            "arn:aws:bedrock::123456789012:project/x",
            "arn:aws:bedrock:US-EAST-1:123456789012:project/x",
            "arn:aws:bedrock:us-east-1:12345678901:project/x",
            "arn:aws:bedrock:us-east-1:123456789012:project/",
            "arn:aws:bedrock:us-east-1:123456789012:project/x/y",
            "arn:aws:bedrock:us-east-1:123456789012:prompt/x",
        ] {
            assert_eq!(is_identifier(text), model.is_match(text), "{text:?}");
        }
        assert!("search".parse::<Project>().is_err());
    }
}
