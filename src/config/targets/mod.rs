//! `targets`, `allowed_model_ids` and `only`: the targets that callers can use, and their routes.

mod alias;
mod combinations;
mod defaults;
mod routes;

use std::{collections::BTreeMap, time::Duration};

use super::{
    access::quota,
    accounts::AccountOptions,
    attribution,
    request_policy::{self, RequestPolicy},
    section::{Reading, Section},
    units,
    yaml::Key,
};
use crate::aws::{Fence, FencePart, Geography, NativeFormat, pattern, role};

pub use alias::{Alias, TargetLimits, Targets};
pub use defaults::{Defaults, Guardrail};
pub(in crate::config) use defaults::{guardrail, read as read_defaults};
pub use routes::RouteOptions;

/// Reads the targets. `max_tokens` is the maximum number of output tokens from the section
/// `limits`, which is read elsewhere.
pub(super) fn read(
    root: &mut Section<'_>,
    max_tokens: Option<i32>,
    rules: quota::Rules,
    accounts: &BTreeMap<String, AccountOptions>,
    reading: &Reading<'_>,
) -> Targets {
    let policy = RequestPolicy {
        max_tokens,
        ..request_policy::read(root)
    };
    let only = root.list("only", place).map(Fence::of);
    let mut places = BTreeMap::new();
    let mut aliases = BTreeMap::new();
    for (key, section) in root.named_sections("targets") {
        check_alias_name(&key, reading);
        places.insert(key.name.clone(), key.place);
        aliases.insert(key.name, read_alias(section, &rules));
    }
    let allowed_model_ids = root.list("allowed_model_ids", pattern).unwrap_or_default();
    let targets = Targets {
        aliases,
        allowed_model_ids,
        // If several roles are in one account, the first one by name is used.
        account_names: accounts
            .iter()
            .rev()
            .filter_map(|(name, account)| {
                let id = role::account_of(&account.role_arn)?;
                Some((id.to_owned(), name.clone()))
            })
            .collect(),
        account_ids: accounts
            .iter()
            .filter_map(|(name, account)| {
                let id = role::account_of(&account.role_arn)?;
                Some((name.clone(), id.to_owned()))
            })
            .collect(),
        only: only.unwrap_or_default(),
        policy,
        // Callers and groups are read later.
        projects_of_callers: Vec::new(),
    };
    combinations::check(&targets, &places, accounts, reading);
    targets
}

/// Checks the name of an alias. It must contain neither `.` nor `:`, so that it cannot be confused
/// with a model ID.
fn check_alias_name(key: &Key, reading: &Reading<'_>) {
    let well_formed = !key.name.is_empty()
        && key.name.len() <= 64
        && key
            .name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !well_formed {
        reading.report(
            format!("targets.{}", key.name),
            key.place,
            "an alias must have 1 to 64 letters, digits, `-` and `_`; a name with `.` or `:` could be a model ID",
        );
    }
}

fn read_alias(mut section: Section<'_>, rules: &quota::Rules) -> Alias {
    let (defaults, default_guardrail) = defaults::read(section.section("defaults"));
    let mut policy = request_policy::read(&mut section);
    if policy.guardrail.is_some() && default_guardrail.is_some() {
        section.report(
            "guardrail",
            "set either `guardrail` or `defaults.guardrail`, but not both",
        );
    }
    policy.guardrail = policy.guardrail.or(default_guardrail);
    let mut limits = section.section("limits");
    policy.max_tokens = request_policy::max_tokens(&mut limits);
    let alias = Alias {
        description: section
            .value("description", units::text)
            .unwrap_or_default(),
        routes: routes::read(&mut section),
        fallback: section.value("fallback", units::text),
        only: section
            .list("only", place)
            .map(Fence::of)
            .unwrap_or_default(),
        invoke_model: section
            .value("invoke_model", units::boolean)
            .unwrap_or_default(),
        body_format: section.value("body_format", body_format),
        defaults,
        policy,
        limits: read_limits(limits, rules),
        request_metadata: attribution::read_metadata(&mut section, "request_metadata"),
    };
    section.finish();
    alias
}

fn read_limits(mut section: Section<'_>, rules: &quota::Rules) -> TargetLimits {
    let limits = TargetLimits {
        max_deadline: section.value("max_deadline", units::positive_duration),
        first_event: section.value("first_event", units::positive_duration),
        idle: section.value("idle", units::positive_duration),
        coalesce: section.value("coalesce", coalesce),
        max_attempts: section.value("max_attempts", |text| units::number(text, 1, 10)),
        quota: quota::read(&mut section, rules),
    };
    section.finish();
    limits
}

fn coalesce(text: &str) -> Result<Duration, String> {
    let duration = units::duration(text)?;
    if duration > TargetLimits::MAX_COALESCE {
        return Err("must be at most 1s, or 0 for a message per delta".to_owned());
    }
    Ok(duration)
}

/// Parses the name of a format of bodies.
fn body_format(text: &str) -> Result<NativeFormat, String> {
    NativeFormat::named(text).ok_or_else(|| {
        let names: Vec<_> = NativeFormat::names().collect();
        format!("`{text}` is not one of: {}", names.join(", "))
    })
}

/// Parses a pattern of model IDs or ARNs.
pub(in crate::config) fn pattern(text: &str) -> Result<String, String> {
    let text = units::text(text)?;
    pattern::check(&text).map(|()| text)
}

/// Parses a geography, such as `eu`, or a Region.
fn place(text: &str) -> Result<FencePart, String> {
    if let Some(geography) = Geography::named(text) {
        return Ok(FencePart::Geography(geography));
    }
    units::region(text).map(FencePart::Region).map_err(|_| {
        let names: Vec<_> = Geography::names().collect();
        format!(
            "`{text}` is neither a geography ({}) nor an AWS Region such as eu-west-1",
            names.join(", ")
        )
    })
}
