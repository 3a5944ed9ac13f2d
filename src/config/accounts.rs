//! `accounts`: the AWS accounts in which the gateway assumes a role to call Bedrock. The account of
//! the gateway's own identity needs no entry.

use std::{collections::BTreeMap, time::Duration};

use super::{
    bedrock::{self, Endpoints},
    section::{Reading, Section},
    units,
};
use crate::aws::role;

/// The default session name.
const SESSION_NAME: &str = env!("CARGO_PKG_NAME");
/// The shortest and the longest duration of a session that STS accepts.
const SHORTEST_SESSION: Duration = Duration::from_secs(15 * 60);
const LONGEST_SESSION: Duration = Duration::from_secs(12 * 60 * 60);

/// An AWS account, and the role that the gateway assumes in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountOptions {
    /// The ARN of the role that the gateway assumes. `accounts.<name>.role_arn`. Required.
    pub role_arn: String,
    /// The `sts:ExternalId` that the role's trust policy requires. `accounts.<name>.external_id`,
    /// default: none.
    pub external_id: Option<String>,
    /// The name of the session in CloudTrail. `accounts.<name>.session_name`, default:
    /// `bedrock-grpc`.
    pub session_name: String,
    /// Tags of the session, for policies and cost reports. `accounts.<name>.session_tags`, default:
    /// none.
    pub session_tags: BTreeMap<String, String>,
    /// How long a session is valid. `accounts.<name>.session_duration`, default: one hour, the
    /// default of STS.
    pub session_duration: Option<Duration>,
    /// Whether the gateway assumes the role separately for each caller, with the caller's name in
    /// the session. Otherwise, it does this only for callers with `role_arn` or `session_tags`.
    /// `accounts.<name>.session_per_caller`, default: false.
    pub session_per_caller: bool,
    /// The Region in which the gateway calls STS. `accounts.<name>.sts_region`, default: the
    /// gateway's Region.
    pub sts_region: Option<String>,
    /// Endpoints for individual source Regions. They take precedence over `bedrock.endpoints`.
    /// `accounts.<name>.endpoints`, default: none.
    pub endpoints: BTreeMap<String, Endpoints>,
}

/// The role and the session tags with which the gateway signs a caller's calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerSession {
    /// The role to assume for the caller. `callers.<name>.role_arn`, default: the role of the
    /// account.
    pub role_arn: Option<String>,
    /// The tags of the caller's sessions, in addition to the account's tags. A tag replaces the
    /// account's tag with the same key. `callers.<name>.session_tags`, default: none.
    pub session_tags: BTreeMap<String, String>,
}

impl CallerSession {
    /// Returns whether the caller has neither a role nor tags.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads the accounts.
pub(super) fn read(
    root: &mut Section<'_>,
    reading: &Reading<'_>,
) -> BTreeMap<String, AccountOptions> {
    let mut accounts = BTreeMap::new();
    for (key, section) in root.named_sections("accounts") {
        if !is_name(&key.name) {
            reading.report(
                format!("accounts.{}", key.name),
                key.place,
                "an account's name must have 1 to 64 letters, digits, `-` and `_`",
            );
        }
        accounts.extend(read_account(section).map(|account| (key.name, account)));
    }
    accounts
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn read_account(mut section: Section<'_>) -> Option<AccountOptions> {
    let role_arn = section.value("role_arn", role_arn);
    if !section.has_had("role_arn") {
        section.report(
            "role_arn",
            "required: the role that the gateway assumes, such as arn:aws:iam::123456789012:role/bedrock",
        );
    }
    let account = AccountOptions {
        role_arn: role_arn.clone().unwrap_or_default(),
        external_id: section.value("external_id", external_id),
        session_name: section
            .value("session_name", session_name)
            .unwrap_or_else(|| SESSION_NAME.to_owned()),
        session_tags: read_tags(&mut section),
        session_duration: section.value("session_duration", session_duration),
        session_per_caller: section
            .value("session_per_caller", units::boolean)
            .unwrap_or_default(),
        sts_region: section.value("sts_region", units::region),
        endpoints: bedrock::read_endpoints(&mut section),
    };
    section.finish();
    role_arn.map(|_| account)
}

/// Reads the role and the session tags of a caller.
pub(super) fn read_caller(section: &mut Section<'_>) -> CallerSession {
    CallerSession {
        role_arn: section.value("role_arn", role_arn),
        session_tags: read_tags(section),
    }
}

fn read_tags(section: &mut Section<'_>) -> BTreeMap<String, String> {
    let tags = section.map("session_tags", tag_key, tag_value);
    if tags.len() > role::MOST_TAGS {
        section.report(
            "session_tags",
            format!(
                "at most {} tags are possible in addition to the caller's name: remove some",
                role::MOST_TAGS
            ),
        );
    }
    tags
}

fn role_arn(text: &str) -> Result<String, String> {
    if role::account_of(text).is_some() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is not the ARN of a role; write one such as arn:aws:iam::123456789012:role/bedrock"
    ))
}

fn external_id(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
    if (2..=1_224).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("an external ID must have 2 to 1,224 letters, digits and _+=,.@:/-".to_owned())
}

fn session_name(text: &str) -> Result<String, String> {
    if role::is_session_name(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` must have 2 to 64 letters, digits and _+=,.@-"
    ))
}

fn tag_key(text: &str) -> Result<String, String> {
    let is_reserved = text.to_ascii_lowercase().starts_with("aws:") || text == role::CALLER_TAG;
    if is_reserved {
        return Err(format!(
            "`{text}` is reserved: AWS uses aws:, and the gateway writes the caller's name into `{}`",
            role::CALLER_TAG
        ));
    }
    if (1..=128).contains(&text.chars().count()) && text.chars().all(role::is_allowed_in_tags) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` must have 1 to 128 letters, digits, spaces and _.:/=+-@"
    ))
}

fn tag_value(text: &str) -> Result<String, String> {
    if text.chars().count() <= 256 && text.chars().all(role::is_allowed_in_tags) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` must have at most 256 letters, digits, spaces and _.:/=+-@"
    ))
}

fn session_duration(text: &str) -> Result<Duration, String> {
    let duration = units::duration(text)?;
    if (SHORTEST_SESSION..=LONGEST_SESSION).contains(&duration) {
        return Ok(duration);
    }
    Err(format!("must be 15m to 12h, got {text}"))
}
