//! The permission keys of callers and groups: `methods`, `targets`, `allowed_model_ids`, and the
//! settings that are enforced on their requests.

use std::collections::BTreeMap;

use super::Quota;
use crate::{
    aws::pattern,
    config::{
        attribution::{self, MAX_PAIRS},
        request_policy::{self, RequestPolicy},
        section::{Section, nearest},
        targets::{self, Defaults, Targets},
        units,
    },
};

/// The methods that `methods` can list. Callers can always use health checks and `GetLimits`.
pub const METHODS: [&str; 8] = [
    "Invoke",
    "StreamInvoke",
    "CountTokens",
    "ApplyGuardrail",
    "ListTargets",
    "GetTarget",
    "InvokeModel",
    "StreamInvokeModel",
];

/// The methods of callers without the key `methods`. The gateway does not check the content of
/// requests of `InvokeModel` and `StreamInvokeModel`, so these must be listed.
pub const DEFAULT_METHODS: [&str; 6] = [
    "Invoke",
    "StreamInvoke",
    "CountTokens",
    "ApplyGuardrail",
    "ListTargets",
    "GetTarget",
];

/// What a caller, or the callers of a group, may do. An absent list does not restrict anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permission {
    /// The methods that callers may use. `methods`, default: [`DEFAULT_METHODS`].
    pub methods: Option<Vec<&'static str>>,
    /// Patterns of the aliases that callers may use. `targets`, default: all aliases.
    pub targets: Option<Vec<String>>,
    /// Patterns of the model IDs and ARNs that callers may use, among those that the gateway
    /// allows. `allowed_model_ids`, default: all of them; none if `targets` is set.
    pub allowed_model_ids: Option<Vec<String>>,
    /// Settings that are enforced on requests, in addition to those of the target.
    pub policy: RequestPolicy,
    /// Pairs that the gateway adds to every request, for cost reports. `request_metadata`.
    pub request_metadata: BTreeMap<String, String>,
    /// Values for fields that requests leave out. They take precedence over those of the target.
    /// `defaults`.
    pub defaults: Defaults,
}

impl Permission {
    /// Returns whether any key is set.
    pub fn is_set(&self) -> bool {
        *self != Self::default()
    }

    /// Returns the patterns of model IDs. If only `targets` is set, the list is empty: otherwise, a
    /// caller that may use only some aliases could bypass their settings by naming a model ID.
    pub fn model_ids(&self) -> Option<&[String]> {
        match (&self.allowed_model_ids, &self.targets) {
            (Some(patterns), _) => Some(patterns),
            (None, Some(_)) => Some(&[]),
            (None, None) => None,
        }
    }
}

/// Reads the permission keys of a caller or a group, and its quota from the section `limits`.
pub(super) fn read(
    section: &mut Section<'_>,
    known: &Targets,
    rules: &super::quota::Rules,
) -> (Permission, Quota) {
    let words = METHODS.map(|method| (method, method));
    let methods = section.list("methods", |text| units::one_of(text, &words));
    if methods.as_ref().is_some_and(Vec::is_empty) {
        section.report(
            "methods",
            "no call would be possible: list at least one method, or leave the key out to allow all but InvokeModel and StreamInvokeModel",
        );
    }
    let targets = section.list("targets", |text| alias_pattern(text, known));
    let allowed_model_ids = section.list("allowed_model_ids", |text| {
        let pattern = targets::pattern(text)?;
        if known.allowed_model_ids.is_empty() {
            return Err(
                "this list only narrows the top-level `allowed_model_ids`, which is empty; add the pattern there, too"
                    .to_owned(),
            );
        }
        Ok(pattern)
    });
    let (defaults, default_guardrail) = targets::read_defaults(section.section("defaults"));
    let mut policy = request_policy::read(section);
    if policy.guardrail.is_some() && default_guardrail.is_some() {
        section.report(
            "guardrail",
            "either `guardrail` or `defaults.guardrail`, but not both",
        );
    }
    policy.guardrail = policy.guardrail.or(default_guardrail);
    let mut limits = section.section("limits");
    policy.max_tokens = request_policy::max_tokens(&mut limits);
    let quota = super::quota::read(&mut limits, rules);
    limits.finish();
    let permission = Permission {
        methods,
        targets,
        allowed_model_ids,
        policy,
        request_metadata: attribution::read_metadata(section, "request_metadata"),
        defaults,
    };
    check(section, &permission, known);
    (permission, quota)
}

/// Reports contradictions between the permissions of a caller or a group and the settings for all
/// calls.
fn check(section: &Section<'_>, permission: &Permission, known: &Targets) {
    let policy = known.policy.and(&permission.policy);
    if policy.service_tiers.is_some_and(|tiers| tiers.is_empty()) {
        section.report(
            "service_tiers",
            "this list and the one for all calls have no tier in common, so no request could be sent; add a common tier",
        );
    }
    if let (Some(default), Some(ceiling)) = (permission.defaults.max_tokens, policy.max_tokens)
        && default > ceiling
    {
        section.report(
            "defaults.max_tokens",
            format!("{default} is more than limits.max_tokens: use at most {ceiling}"),
        );
    }
}

/// Reports contradictions between the settings of a caller and those of its groups.
pub(super) fn check_together<'a>(
    section: &Section<'_>,
    own: &'a Permission,
    groups: impl Iterator<Item = &'a Permission> + Clone,
    known: &Targets,
) {
    check_project(section, own, groups.clone(), known);
    let all = || groups.clone().chain([own]);
    let keys: std::collections::BTreeSet<_> = all()
        .flat_map(|permission| permission.request_metadata.keys())
        .collect();
    if keys.len() > MAX_PAIRS {
        section.report(
            "request_metadata",
            format!(
                "has {} pairs, together with those of the caller's groups; Bedrock accepts at most {MAX_PAIRS}",
                keys.len()
            ),
        );
    }
    let of_groups = groups
        .clone()
        .map(|group| group.policy.clone())
        .reduce(|one, other| one.or(&other))
        .unwrap_or_default();
    let tiers = of_groups.and(&own.policy).service_tiers;
    if tiers.is_some_and(|tiers| tiers.is_empty()) {
        section.report(
            "service_tiers",
            "this list and those of the caller's groups have no tier in common, so no request could be sent; add a common tier",
        );
    }
}

/// Reports the targets that a caller or group may use, but not with its own project. `groups` are
/// the groups of the caller.
pub(super) fn check_project<'a>(
    section: &Section<'_>,
    own: &'a Permission,
    groups: impl Iterator<Item = &'a Permission> + Clone,
    known: &Targets,
) {
    let Some(project) = &own.policy.project else {
        return;
    };
    for name in project.accounts() {
        if !known.account_ids.contains_key(name) {
            let message = format!("unknown account `{name}`; use a name of `accounts`");
            section.report("project", message);
        }
    }
    let matches = |patterns: &Vec<String>, alias: &str| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| pattern::matches(pattern, alias))
    };
    let of_groups = || groups.clone().filter_map(|group| group.targets.as_ref());
    let may_use = |alias: &str| {
        let by_groups =
            of_groups().next().is_none() || of_groups().any(|patterns| matches(patterns, alias));
        by_groups && own.targets.as_ref().is_none_or(|own| matches(own, alias))
    };
    for alias in known.aliases.keys().filter(|alias| may_use(alias)) {
        for wrong in known.wrong_project(project, alias) {
            let hint = "restrict `targets`, or change the target";
            section.report("project", format!("{wrong}; {hint}"));
        }
    }
}

/// Reads a pattern of aliases. At least one alias must match it.
fn alias_pattern(text: &str, known: &Targets) -> Result<String, String> {
    let text = units::text(text)?;
    let is_well_formed = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_*".contains(c));
    if !is_well_formed {
        return Err(format!(
            "`{text}` matches no alias, which has letters, digits, `-` and `_`; list model IDs and ARNs in allowed_model_ids"
        ));
    }
    let mut names = known.aliases.keys().map(String::as_str);
    if text == "*" || names.any(|name| pattern::matches(&text, name)) {
        return Ok(text);
    }
    let names = known.aliases.keys().map(String::as_str);
    let hint = nearest(&text, names).map_or_else(
        || "add the target to `targets`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Err(format!("`{text}` matches no target; {hint}"))
}
