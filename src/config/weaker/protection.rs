//! Lists the settings of a configuration that protect the gateway.

use std::collections::BTreeSet;

use super::{
    credential::{CERTIFICATES, SERVICE_ACCOUNTS},
    key::{Place, ProtectedKey},
};
use crate::{
    aws::model_id,
    config::{
        Access, Config, GroupOptions, OnRevoke, Permission, Quota, RequestPolicy, RouteOptions,
        Targets, Unlisted,
    },
};

pub(super) const CALLERS: &str = "callers";
/// All targets. A caller or a group has a setting with the same name: the targets that it may use.
pub(super) const TARGETS: &str = "targets";
/// The AWS accounts of all routes of a target.
pub(super) const ACCOUNT: &str = "account";
pub(super) const REQUIRED: &str = "access.required";
pub(super) const ON_REVOKE: &str = "access.on_revoke";
pub(super) const KEYS_FILE: &str = "access.keys_file";
pub(super) const TLS: &str = "tls";
pub(super) const CLIENT_CA: &str = "tls.client_ca_file";
pub(super) const CLIENT_AUTH: &str = "tls.client_auth";
pub(super) const ONLY: &str = "only";
pub(super) const GUARDRAIL: &str = "guardrail";
pub(super) const S3_LOCATIONS: &str = "s3_locations";
pub(super) const PROJECT: &str = "project";
pub(super) const PROJECTS: &str = "projects";
/// The settings that list what is allowed.
pub(super) const LISTS: [&str; 6] = [
    "methods",
    "targets",
    "allowed_model_ids",
    "service_tiers",
    S3_LOCATIONS,
    PROJECTS,
];
pub(super) const CALLER_PREFIX: &str = "caller_prefix";
/// The prefix of the key for a caller's membership in a group with restrictions. The name of the
/// group follows. Groups with equal restrictions have one key, because being in one of them is
/// enough: their names follow, with a bar in between, which names do not contain.
pub(super) const GROUPS: &str = "groups[";
const BAR: char = '|';
/// The prefix of the key for a group with restrictions that contains the unlisted callers of an
/// issuer. The name of the group follows.
pub(super) const UNLISTED: &str = "unlisted.groups[";
/// The prefix of the key for a fixed pair of metadata for cost reports. The pair's own key follows.
pub(super) const METADATA: &str = "request_metadata[";
/// The prefix of the key for a pair whose value comes from a header. Callers can choose the value
/// unless a proxy replaces the header, so it does not replace a fixed pair.
pub(super) const FROM_HEADERS: &str = "request_metadata.from_headers[";
/// The prefix of the key for a session tag. The tag's own key follows.
pub(super) const TAGS: &str = "session_tags[";

/// The prefix of the key for the expiry of an API key. The first digits of its hash follow.
const KEYS: &str = "keys[";

/// Returns the settings that protect the gateway.
pub(super) fn protected(config: &Config) -> Vec<ProtectedKey> {
    let mut keys = of_all(config);
    for (name, alias) in &config.targets.aliases {
        let mut routes = alias.routes.iter();
        let settings = set([
            (ONLY, !alias.only.is_unrestricted()),
            (
                ACCOUNT,
                routes.all(|route| has_account(route, &config.targets)),
            ),
        ]);
        let settings = settings.chain(of_policy(&alias.policy));
        let settings = settings.chain(of_quota(&alias.limits.quota));
        let settings = settings.chain(entries(METADATA, alias.request_metadata.keys()));
        add(&mut keys, &Place::Target(name.clone()), settings);
    }
    let mut restricted = BTreeSet::new();
    for (name, group) in &config.access.groups {
        let settings = of_permission(&group.permission).chain(of_quota(&group.quota));
        let before = keys.len();
        add(&mut keys, &Place::Group(name.clone()), settings);
        if keys.len() > before {
            restricted.insert(name.as_str());
        }
    }
    let of_groups = |key, groups: &[String]| {
        let groups = groups.iter();
        let groups = groups.filter(|group| restricted.contains(group.as_str()));
        entries(key, groups).collect::<Vec<_>>()
    };
    for (name, caller) in &config.access.callers {
        let session = &caller.session;
        let role = session.role_arn.iter().map(|_| "role_arn".to_owned());
        let settings = of_permission(&caller.permission)
            .chain(of_quota(&caller.quota))
            .chain(of_memberships(config, &restricted, &caller.groups))
            .chain(role)
            .chain(entries(TAGS, session.session_tags.keys()));
        let (place, before) = (Place::Caller(name.clone()), keys.len());
        add(&mut keys, &place, settings);
        let expiring = caller.keys.iter().filter(|key| key.not_after.is_some());
        let expiring: Vec<_> = expiring.map(|key| expiry(&key.id())).collect();
        // Without its restrictions, it does not matter which caller a credential identifies.
        if keys.len() > before {
            let credentials = entries(SERVICE_ACCOUNTS, caller.service_accounts.iter());
            let credentials = credentials.chain(entries(CERTIFICATES, caller.certificates.iter()));
            add(&mut keys, &place, credentials);
        }
        add(&mut keys, &place, expiring.into_iter());
    }
    let of_unlisted = |unlisted: &Option<Unlisted>| {
        let groups = unlisted.as_ref().map(|unlisted| unlisted.groups.as_slice());
        of_groups(UNLISTED, groups.unwrap_or_default())
    };
    for issuer in &config.access.jwt {
        let settings = set([
            (CALLER_PREFIX, !issuer.caller_prefix.is_empty()),
            ("groups_claim", issuer.groups_claim.is_some()),
        ]);
        let settings = settings.chain(of_unlisted(&issuer.unlisted));
        add(&mut keys, &Place::Issuer(issuer.issuer.clone()), settings);
    }
    if let Some(cluster) = &config.access.kubernetes {
        let settings = of_unlisted(&cluster.unlisted).into_iter();
        add(&mut keys, &Place::Cluster, settings);
    }
    for (name, account) in &config.accounts {
        let settings = set([("session_per_caller", account.session_per_caller)]);
        let settings = settings.chain(entries(TAGS, account.session_tags.keys()));
        add(&mut keys, &Place::Account(name.clone()), settings);
    }
    keys
}

/// Returns the settings that protect all calls.
fn of_all(config: &Config) -> Vec<ProtectedKey> {
    let tls = config.server.tls.as_ref();
    let clients = tls.and_then(|tls| tls.clients.as_ref());
    let settings = set([
        (CALLERS, !config.access.callers.is_empty()),
        (REQUIRED, config.access.required),
        (ON_REVOKE, config.access.on_revoke == OnRevoke::Cut),
        (TLS, tls.is_some()),
        (CLIENT_CA, clients.is_some()),
        (CLIENT_AUTH, clients.is_some_and(|clients| clients.required)),
        (TARGETS, !config.targets.aliases.is_empty()),
        (ONLY, !config.targets.only.is_unrestricted()),
    ]);
    let metadata = &config.request_metadata;
    let mut keys = Vec::new();
    let settings = settings.chain(of_policy(&config.targets.policy));
    let settings = settings.chain(entries(METADATA, metadata.set.keys()));
    let settings = settings.chain(entries(FROM_HEADERS, metadata.from_headers.keys()));
    add(&mut keys, &Place::All, settings);
    keys
}

/// Returns whether a route is called in an account of the configuration, so that the gateway's own
/// identity does not sign its calls.
fn has_account(route: &RouteOptions, targets: &Targets) -> bool {
    let of_arn = model_id::account_of_arn(&route.model_id);
    !route.accounts.is_empty() || of_arn.is_some_and(|id| targets.account_names.contains_key(id))
}

/// Returns the keys of a caller's memberships in groups with restrictions.
fn of_memberships(config: &Config, restricted: &BTreeSet<&str>, groups: &[String]) -> Vec<String> {
    let options = |name: &str| config.access.groups.get(name);
    let mut equal: Vec<(Option<&GroupOptions>, Vec<&str>)> = Vec::new();
    for name in groups.iter().map(String::as_str) {
        if !restricted.contains(name) {
            continue;
        }
        let group = options(name);
        let is_equal = |known: &Option<&GroupOptions>| match (known, group) {
            (Some(one), Some(other)) => {
                one.permission == other.permission && one.quota == other.quota
            }
            _ => false,
        };
        match equal.iter_mut().find(|(known, _)| is_equal(known)) {
            Some((_, names)) => names.push(name),
            None => equal.push((group, vec![name])),
        }
    }
    let bar = BAR.to_string();
    let keys = equal.into_iter();
    keys.map(|(_, names)| format!("{GROUPS}{}]", names.join(&bar)))
        .collect()
}

/// Returns the key for the expiry of an API key.
fn expiry(id: &str) -> String {
    format!("{KEYS}{id}].not_after")
}

/// Returns the ID of an API key if this setting is its expiry.
pub(super) fn expiring_key(setting: &str) -> Option<&str> {
    setting.strip_prefix(KEYS)?.strip_suffix("].not_after")
}

/// Returns the names of the groups if this setting is the membership in one of them.
pub(super) fn groups_of(setting: &str) -> Option<impl Iterator<Item = &str>> {
    let names = setting.strip_prefix(GROUPS)?.strip_suffix(']')?;
    Some(names.split(BAR))
}

/// The groups that callers of a configuration can be in. Restrictions of other groups protect
/// nothing.
pub(super) struct UsedGroups<'a> {
    /// The groups of configured callers.
    of_callers: BTreeSet<&'a str>,
    /// The groups of callers that are not configured.
    of_unlisted: BTreeSet<&'a str>,
    /// Whether tokens can name any group.
    are_claimed: bool,
}

impl<'a> UsedGroups<'a> {
    pub(super) fn of(access: &'a Access) -> Self {
        let callers = access.callers.values().flat_map(|caller| &caller.groups);
        let unlisted = access.jwt.iter().map(|issuer| &issuer.unlisted);
        let unlisted = unlisted.chain(access.kubernetes.iter().map(|cluster| &cluster.unlisted));
        let unlisted = unlisted.flatten().flat_map(|unlisted| &unlisted.groups);
        let mut issuers = access.jwt.iter();
        Self {
            of_callers: callers.map(String::as_str).collect(),
            of_unlisted: unlisted.map(String::as_str).collect(),
            are_claimed: issuers.any(|issuer| issuer.groups_claim.is_some()),
        }
    }

    /// Returns whether a caller can be in this group.
    pub(super) fn contain(&self, group: &str) -> bool {
        self.of_callers.contains(group) || self.by_tokens(group)
    }

    /// Returns whether a caller that is not configured, or any caller with a token, can be in this
    /// group.
    pub(super) fn by_tokens(&self, group: &str) -> bool {
        self.are_claimed || self.of_unlisted.contains(group)
    }
}

fn add(keys: &mut Vec<ProtectedKey>, place: &Place, settings: impl Iterator<Item = String>) {
    keys.extend(settings.map(|setting| ProtectedKey::new(place, setting)));
}

/// Returns the keys of the settings in a policy that restrict requests.
fn of_policy(policy: &RequestPolicy) -> impl Iterator<Item = String> + use<> {
    set([
        (GUARDRAIL, policy.enforced_guardrail().is_some()),
        ("limits.max_tokens", policy.max_tokens.is_some()),
        ("service_tiers", policy.service_tiers.is_some()),
        (S3_LOCATIONS, policy.s3_locations.is_some()),
        (PROJECT, policy.project.is_some()),
        (PROJECTS, policy.projects.is_some()),
    ])
}

/// Returns the keys of the settings that restrict callers.
fn of_permission(permission: &Permission) -> impl Iterator<Item = String> {
    let keys = set([
        ("methods", permission.methods.is_some()),
        ("targets", permission.targets.is_some()),
        ("allowed_model_ids", permission.model_ids().is_some()),
    ]);
    let keys = keys.chain(of_policy(&permission.policy));
    keys.chain(entries(METADATA, permission.request_metadata.keys()))
}

/// Returns the keys of the limits in a quota.
fn of_quota(quota: &Quota) -> impl Iterator<Item = String> + use<> {
    let limits = quota.limits().map(|(key, limit)| (key, limit.is_some()));
    set(limits).map(|key| format!("limits.{key}"))
}

fn set<const N: usize>(keys: [(&'static str, bool); N]) -> impl Iterator<Item = String> + use<N> {
    let set = keys.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(key, _)| key.to_owned())
}

/// Returns the keys of a list's or map's entries. `key` ends with an opening bracket.
fn entries<'a>(
    key: &'static str,
    names: impl Iterator<Item = &'a String>,
) -> impl Iterator<Item = String> {
    names.map(move |name| format!("{key}{name}]"))
}
