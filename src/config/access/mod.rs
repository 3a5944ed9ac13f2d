//! `access`, `callers` and `groups`: the callers, and how the gateway identifies them.

mod keys;
mod name;
mod permission;
mod prices;
pub(super) mod quota;
mod store;
mod tokens;
mod unit_prices;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    accounts::{self, CallerSession},
    project::Project,
    section::{Reading, Section, nearest},
    targets::Targets,
    units,
    yaml::Key as YamlKey,
};

pub use keys::{ApiKey, KEYS_PER_CALLER, KeysByCaller, check as check_keys, load as load_keys};
use name::NAME_RULE;
pub use name::is_name;
pub use permission::{DEFAULT_METHODS, METHODS, Permission};
pub(super) use prices::read as read_prices;
pub use prices::{Estimates, Price, Rates};
pub use quota::{NANO_PER_USD, Quota};
pub(super) use store::read as read_store;
pub use store::{LimitsStore, OnStoreFailure, RedisStore, StorePassword};
pub use tokens::{
    ClusterKeys, JwtIssuer, KeySetLocation, Kubernetes, SignatureAlgorithm, Unlisted, is_secure_url,
};
use unit_prices::read_guardrails;
pub use unit_prices::{GuardrailPrices, ImageQuality, ImageTier, UnitPrices};

/// The callers, and how the gateway identifies them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// Whether calls without an identity are refused. `access.required`, default: true if any kind
    /// of credential is configured.
    pub required: bool,
    /// Whether clients can use reflection without identifying themselves. `access.open_reflection`,
    /// default false.
    pub open_reflection: bool,
    /// A YAML file that maps callers to lists of keys, such as a mounted Secret. The gateway reads
    /// the file again when it changes. `access.keys_file`, default: none.
    pub keys_file: Option<PathBuf>,
    /// How many failed attempts of one peer address the gateway answers and logs individually, per
    /// minute. Failures never cause the refusal of a valid credential.
    /// `access.failures_per_minute`, default 60.
    pub failures_per_minute: FailuresPerMinute,
    /// What happens to open calls when a reload revokes their credential. `access.on_revoke`,
    /// default `finish`.
    pub on_revoke: OnRevoke,
    /// The issuers whose tokens are accepted. `access.jwt`, default: none.
    pub jwt: Vec<JwtIssuer>,
    /// The cluster whose service accounts are accepted. `access.kubernetes`, default: none.
    pub kubernetes: Option<Kubernetes>,
    /// Whether callers can identify themselves with client certificates: `tls.client_ca_file` is
    /// set.
    pub has_client_ca: bool,
    /// The settings of the callers, by name. `callers`.
    pub callers: BTreeMap<String, CallerOptions>,
    /// Groups of callers, by name. `groups`.
    pub groups: BTreeMap<String, GroupOptions>,
    /// Where the counts for limits are stored. `limits.store`.
    pub store: LimitsStore,
    /// The prices of tokens. `prices`, default: unknown.
    pub prices: Vec<Price>,
    /// The number of tokens that a call reserves for content whose tokens cannot be counted.
    /// `estimates`.
    pub estimates: Estimates,
    /// The prices of guardrails. `guardrail_prices`, default: none.
    pub guardrail_prices: Option<GuardrailPrices>,
}

/// How many failed attempts of one peer address the gateway answers and logs individually, per
/// minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailuresPerMinute(pub u32);

impl Default for FailuresPerMinute {
    fn default() -> Self {
        Self(60)
    }
}

/// What happens to open calls when a reload revokes their credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRevoke {
    /// Calls continue to their end. `finish`. The default.
    #[default]
    Finish,
    /// Calls end at once. `cut`.
    Cut,
}

/// The operator's settings for one caller.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallerOptions {
    /// The API keys that are valid for the caller, at most two, in addition to those in the keys
    /// file. `callers.<name>.keys`.
    pub keys: Vec<ApiKey>,
    /// The groups that the caller belongs to. `callers.<name>.groups`.
    pub groups: Vec<String>,
    /// The service accounts that identify the caller: `namespace/name`, or `namespace/*`.
    /// `callers.<name>.service_accounts`.
    pub service_accounts: Vec<String>,
    /// The names in client certificates that identify the caller: a SPIFFE ID or another URI, which
    /// may end in `/*`, or a DNS name. `callers.<name>.certificates`.
    pub certificates: Vec<String>,
    /// The caller's limits. `callers.<name>.limits`, default: unlimited.
    pub quota: Quota,
    /// What the caller may do. Default: everything that the gateway allows.
    pub permission: Permission,
    /// The role and the session tags with which the gateway signs the caller's calls to AWS.
    /// `callers.<name>.role_arn` and `callers.<name>.session_tags`.
    pub session: CallerSession,
}

/// The operator's settings for a group of callers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupOptions {
    /// The purpose of the group. `groups.<name>.description`.
    pub description: String,
    /// The limits of all callers of the group together. `groups.<name>.limits`, default: unlimited.
    pub quota: Quota,
    /// What each caller of the group may do. Default: everything that the gateway allows.
    pub permission: Permission,
}

impl Access {
    /// Returns the projects of callers and groups.
    pub(super) fn projects(&self) -> Vec<Project> {
        let callers = self.callers.values().map(|caller| &caller.permission);
        let groups = self.groups.values().map(|group| &group.permission);
        let permissions = callers.chain(groups);
        permissions
            .filter_map(|it| it.policy.project.clone())
            .collect()
    }

    /// Returns whether the configuration allows any kind of credential.
    pub fn is_configured(&self) -> bool {
        self.keys_file.is_some()
            || !self.callers.is_empty()
            || !self.jwt.is_empty()
            || self.kubernetes.is_some()
            || self.has_client_ca
    }
}

/// Reads the three sections. `limits.store` and `prices`, which other modules read, are passed in.
pub(super) fn read(
    root: &mut Section<'_>,
    store: LimitsStore,
    prices: Vec<Price>,
    has_client_ca: bool,
    targets: &Targets,
    reading: &Reading<'_>,
) -> Access {
    let mut section = root.section("access");
    let required = section.value("required", units::boolean);
    let mut access = Access {
        open_reflection: section
            .value("open_reflection", units::boolean)
            .unwrap_or_default(),
        keys_file: section
            .path_value("keys_file", units::text)
            .map(PathBuf::from),
        failures_per_minute: section
            .value("failures_per_minute", |text| {
                units::number(text, 1, 1_000_000)
            })
            .map(FailuresPerMinute)
            .unwrap_or_default(),
        on_revoke: section
            .value("on_revoke", |text| {
                let words = [("finish", OnRevoke::Finish), ("cut", OnRevoke::Cut)];
                units::one_of(text, &words)
            })
            .unwrap_or_default(),
        prices,
        estimates: prices::read_estimates(root.section("estimates")),
        guardrail_prices: read_guardrails(root),
        store,
        has_client_ca,
        ..Access::default()
    };
    let rules = quota::Rules::of(&access.store, &access.prices);
    for (key, section) in root.named_sections("groups") {
        check_name("groups", &key, reading);
        let group = read_group(section, targets, &rules);
        access.groups.insert(key.name, group);
    }
    let known_group = |name: &str| group(name, &access.groups);
    let jwt = tokens::read_jwt(&mut section, &known_group);
    let wants_kubernetes = section.has("kubernetes");
    let kubernetes = tokens::read_kubernetes(&mut section, &known_group);
    (access.jwt, access.kubernetes) = (jwt, kubernetes);
    let known = Known {
        groups: &access.groups,
        targets,
        rules: &rules,
        has_kubernetes: wants_kubernetes,
        has_client_ca,
        service_accounts: RefCell::default(),
        certificates: RefCell::default(),
    };
    for (key, section) in root.named_sections("callers") {
        check_name("callers", &key, reading);
        let caller = read_caller(section, &known);
        access.callers.insert(key.name, caller);
    }
    let keys = access
        .callers
        .iter()
        .map(|(name, caller)| (name.as_str(), caller.keys.as_slice()));
    keys::check_unique(keys, reading);
    if required == Some(true) && !access.is_configured() {
        section.report(
            "required",
            "no caller can have a credential, so every call would be refused; add `callers`, access.keys_file, access.jwt, access.kubernetes or tls.client_ca_file",
        );
    }
    section.finish();
    access.required = required.unwrap_or_else(|| access.is_configured());
    access
}

fn read_group(mut section: Section<'_>, targets: &Targets, rules: &quota::Rules) -> GroupOptions {
    let (permission, quota) = permission::read(&mut section, targets, rules);
    let no_groups = std::iter::empty();
    permission::check_project(&section, &permission, no_groups, targets);
    let group = GroupOptions {
        description: section
            .value("description", units::text)
            .unwrap_or_default(),
        quota,
        permission,
    };
    section.finish();
    group
}

/// What the keys of a caller can refer to.
struct Known<'a> {
    groups: &'a BTreeMap<String, GroupOptions>,
    targets: &'a Targets,
    rules: &'a quota::Rules,
    has_kubernetes: bool,
    has_client_ca: bool,
    /// The service accounts of the callers that were read before this one. No two callers can list
    /// the same.
    service_accounts: RefCell<BTreeSet<String>>,
    certificates: RefCell<BTreeSet<String>>,
}

fn read_caller(mut section: Section<'_>, known: &Known<'_>) -> CallerOptions {
    let service_account = |text: &str| {
        if !known.has_kubernetes {
            return Err(
                "needs `access.kubernetes`, the cluster whose tokens are accepted".to_owned(),
            );
        }
        tokens::claim_once(&known.service_accounts, tokens::service_account(text)?)
    };
    let certificate = |text: &str| {
        if !known.has_client_ca {
            return Err(
                "needs `tls.client_ca_file`: the authorities whose client certificates are accepted"
                    .to_owned(),
            );
        }
        tokens::claim_once(&known.certificates, tokens::certificate(text)?)
    };
    let (permission, quota) = permission::read(&mut section, known.targets, known.rules);
    let caller = CallerOptions {
        keys: keys::read(&mut section, "keys"),
        groups: section
            .list("groups", |name| group(name, known.groups))
            .unwrap_or_default(),
        service_accounts: section
            .list("service_accounts", service_account)
            .unwrap_or_default(),
        certificates: section
            .list("certificates", certificate)
            .unwrap_or_default(),
        quota,
        permission,
        session: accounts::read_caller(&mut section),
    };
    let twice = caller.groups.iter().enumerate().find(|(index, name)| {
        let earlier = caller.groups.iter().take(*index);
        earlier.into_iter().any(|other| other == *name)
    });
    if let Some((_, name)) = twice {
        section.report(
            "groups",
            format!("group `{name}` is listed twice; remove one of the entries"),
        );
    }
    let groups = caller.groups.iter();
    let groups = groups.filter_map(|name| Some(&known.groups.get(name)?.permission));
    permission::check_together(&section, &caller.permission, groups, known.targets);
    section.finish();
    caller
}

/// Reads the name of a group, which must exist.
fn group(name: &str, known: &BTreeMap<String, GroupOptions>) -> Result<String, String> {
    if known.contains_key(name) {
        return Ok(name.to_owned());
    }
    let hint = nearest(name, known.keys().map(String::as_str)).map_or_else(
        || "add it to `groups`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Err(format!("unknown group `{name}`; {hint}"))
}

fn check_name(section: &str, key: &YamlKey, reading: &Reading<'_>) {
    if !is_name(&key.name) {
        reading.report(format!("{section}.{}", key.name), key.place, NAME_RULE);
    }
}
