//! The keys of the settings that protect the gateway, as `GET /config` shows them.

use std::fmt;

/// A setting that protects the gateway, and where it is set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProtectedKey {
    pub(super) place: Place,
    /// The key without the place, such as `limits.max_tokens`. An entry of a list or a map is in
    /// brackets, such as `request_metadata[team]`.
    pub(super) setting: String,
}

/// The part of the configuration that contains a setting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The top level.
    All,
    /// A target.
    Target(String),
    /// A group of callers.
    Group(String),
    /// A caller.
    Caller(String),
    /// An AWS account.
    Account(String),
    /// An issuer of tokens.
    Issuer(String),
    /// The Kubernetes cluster whose service accounts identify callers.
    Cluster,
}

/// Creates a place from the name of a target, a group, a caller or another part.
type MakePlace = fn(String) -> Place;

const TARGETS: &str = "targets.";
const GROUPS: &str = "groups.";
const CALLERS: &str = "callers.";
const ACCOUNTS: &str = "accounts.";
const ISSUERS: &str = "access.jwt[";
const CLUSTER: &str = "access.kubernetes.";

/// All settings of callers, groups and accounts. Names can contain dots, so a key is split at its
/// setting. This works because no setting's name is a suffix of another one's.
const SETTINGS: [&str; 26] = [
    "guardrail",
    "service_tiers",
    "s3_locations",
    "project",
    "projects",
    "methods",
    "targets",
    "allowed_model_ids",
    "request_metadata",
    "groups",
    "role_arn",
    "session_tags",
    "session_per_caller",
    "service_accounts",
    "certificates",
    "keys",
    "limits.max_tokens",
    "limits.open_streams",
    "limits.requests_per_minute",
    "limits.tokens_per_minute",
    "limits.input_tokens_per_minute",
    "limits.output_tokens_per_minute",
    "limits.tokens_per_day",
    "limits.tokens_per_month",
    "limits.usd_per_day",
    "limits.usd_per_month",
];

impl Place {
    /// Returns the name of the group, if this is a group.
    pub(super) fn group(&self) -> Option<&str> {
        match self {
            Self::Group(name) => Some(name),
            _ => None,
        }
    }
}

impl ProtectedKey {
    pub(super) fn new(place: &Place, setting: impl Into<String>) -> Self {
        Self {
            place: place.clone(),
            setting: setting.into(),
        }
    }

    /// Parses a key. An unknown key is returned as a setting of the top level, so that it is not
    /// lost.
    pub(super) fn parse(key: &str) -> Self {
        let of = |place, setting: &str| Self {
            place,
            setting: setting.to_owned(),
        };
        if let Some((name, setting)) = key
            .strip_prefix(TARGETS)
            .and_then(|rest| rest.split_once('.'))
        {
            return of(Place::Target(name.to_owned()), setting);
        }
        if let Some((name, setting)) = key
            .strip_prefix(ISSUERS)
            .and_then(|rest| rest.rsplit_once("]."))
        {
            return of(Place::Issuer(name.to_owned()), setting);
        }
        if let Some(setting) = key.strip_prefix(CLUSTER) {
            return of(Place::Cluster, setting);
        }
        let prefixes: [(_, MakePlace); 3] = [
            (GROUPS, Place::Group),
            (CALLERS, Place::Caller),
            (ACCOUNTS, Place::Account),
        ];
        let named = prefixes.into_iter().find_map(|(prefix, place)| {
            let (name, setting) = split(key.strip_prefix(prefix)?)?;
            Some(of(place(name.to_owned()), setting))
        });
        named.unwrap_or_else(|| of(Place::All, key))
    }
}

/// Splits a key without its prefix into a name and a setting.
fn split(rest: &str) -> Option<(&str, &str)> {
    // A bracket begins an entry, because names do not contain brackets.
    let head = rest.split_once('[').map_or(rest, |(head, _)| head);
    let name = SETTINGS
        .into_iter()
        .find_map(|setting| head.strip_suffix(setting)?.strip_suffix('.'))?;
    Some((name, rest.get(name.len() + 1..)?))
}

impl fmt::Display for ProtectedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::All => {}
            Place::Target(name) => write!(f, "{TARGETS}{name}.")?,
            Place::Group(name) => write!(f, "{GROUPS}{name}.")?,
            Place::Caller(name) => write!(f, "{CALLERS}{name}.")?,
            Place::Account(name) => write!(f, "{ACCOUNTS}{name}.")?,
            Place::Issuer(name) => write!(f, "{ISSUERS}{name}].")?,
            Place::Cluster => f.write_str(CLUSTER)?,
        }
        f.write_str(&self.setting)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all targets",
            Self::Target(_) => "the target",
            Self::Group(_) => "the group",
            Self::Caller(_) => "the caller",
            Self::Account(_) => "the account",
            Self::Issuer(_) => "the issuer",
            Self::Cluster => "the cluster",
        })
    }
}
