//! Checks rules that involve several keys or targets: fallbacks, fences, enforced settings, and
//! kinds of targets that cannot be used together.

use std::collections::BTreeMap;

use super::alias::{Alias, Targets};
use crate::{
    aws::{Fence, ModelIdKind, Side, model_id, role},
    config::{
        accounts::AccountOptions,
        problem::ConfigLocation,
        project::Project,
        section::{Reading, nearest},
    },
};

pub(super) fn check(
    targets: &Targets,
    places: &BTreeMap<String, ConfigLocation>,
    accounts: &BTreeMap<String, AccountOptions>,
    reading: &Reading<'_>,
) {
    for (name, alias) in &targets.aliases {
        let report = |key: &str, message: String| {
            let place = places.get(name).copied().unwrap_or_default();
            reading.report(format!("targets.{name}.{key}"), place, message);
        };
        if let Some(message) = wrong_fallback(name, alias, targets) {
            report("fallback", message);
        } else if mixes_prompts(alias, targets) {
            report(
                "routes",
                "a prompt of Prompt management accepts other requests than a model does, so it cannot share a target or a fallback with a model"
                    .to_owned(),
            );
        }
        for message in wrong_accounts(alias, accounts) {
            report("routes", message);
        }
        let ceiling = targets.policy.and(&alias.policy).max_tokens;
        if let (Some(default), Some(ceiling)) = (alias.defaults.max_tokens, ceiling)
            && default > ceiling
        {
            report(
                "defaults.max_tokens",
                format!("{default} is more than limits.max_tokens: use at most {ceiling}"),
            );
        }
        if targets
            .policy
            .and(&alias.policy)
            .service_tiers
            .is_some_and(|tiers| tiers.is_empty())
        {
            report(
                "service_tiers",
                "this list and the one for all targets have no tier in common, so no request could be sent; add a common tier"
                    .to_owned(),
            );
        }
        let policy = targets.policy.and(&alias.policy);
        if let Some(project) = &policy.project {
            let unknown = unknown_accounts(project, accounts);
            for message in unknown.chain(targets.wrong_project(project, name)) {
                report("project", message);
            }
        }
        for (key, fence) in [("only", &alias.only), ("routes", &targets.only)] {
            for message in outside(alias, fence) {
                report(key, message);
            }
        }
    }
}

/// Returns what is wrong with the AWS accounts of an alias.
fn wrong_accounts(alias: &Alias, accounts: &BTreeMap<String, AccountOptions>) -> Vec<String> {
    let mut messages = Vec::new();
    for route in &alias.routes {
        for name in &route.accounts {
            let Some(account) = accounts.get(name) else {
                let hint = nearest(name, accounts.keys().map(String::as_str)).map_or_else(
                    || "add it to `accounts`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                messages.push(format!("unknown account `{name}`; {hint}"));
                continue;
            };
            let own = model_id::account_of_arn(&route.model_id);
            if let (Some(own), Some(called)) = (own, role::account_of(&account.role_arn))
                && own != called
            {
                messages.push(format!(
                    "{} belongs to AWS account {own}, but the role of `{name}` to {called}: name the account that owns it",
                    route.model_id
                ));
            }
        }
    }
    messages
}

/// Returns the accounts in the keys of a project that are not configured, as messages.
fn unknown_accounts<'a>(
    project: &'a Project,
    accounts: &'a BTreeMap<String, AccountOptions>,
) -> impl Iterator<Item = String> {
    let unknown = project
        .accounts()
        .filter(|name| !accounts.contains_key(*name));
    unknown.map(|name| format!("unknown account `{name}`; use a name of `accounts`"))
}

fn wrong_fallback(name: &str, alias: &Alias, targets: &Targets) -> Option<String> {
    let fallback = alias.fallback.as_ref()?;
    if !targets.aliases.contains_key(fallback) {
        let known = targets.aliases.keys().map(String::as_str);
        let hint = nearest(fallback, known.filter(|known| *known != name)).map_or_else(
            || "name another target of this file".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Some(format!("unknown target `{fallback}`; {hint}"));
    }
    let mut seen = vec![name];
    for next in chain(alias, targets) {
        if seen.contains(&next) {
            return Some(format!(
                "the fallbacks form a cycle: {} -> {next}; remove one of them",
                seen.join(" -> ")
            ));
        }
        seen.push(next);
    }
    None
}

/// Returns the names of an alias's fallbacks, in order. If the fallbacks form a cycle, the iterator
/// is endless.
fn chain<'a>(alias: &'a Alias, targets: &'a Targets) -> impl Iterator<Item = &'a str> {
    std::iter::successors(alias.fallback.as_deref(), |name| {
        targets.aliases.get(*name)?.fallback.as_deref()
    })
}

fn mixes_prompts(alias: &Alias, targets: &Targets) -> bool {
    let fallbacks = chain(alias, targets).filter_map(|name| targets.aliases.get(name));
    let mut kinds = std::iter::once(alias)
        .chain(fallbacks)
        .flat_map(|alias| &alias.routes)
        .map(|route| ModelIdKind::of(&route.model_id) == ModelIdKind::Prompt);
    let first = kinds.next();
    kinds.any(|is_prompt| Some(is_prompt) != first)
}

/// Returns the routes that certainly lie outside the fence, as messages. The destination Regions of
/// profiles need not be known for this.
fn outside(alias: &Alias, fence: &Fence) -> Vec<String> {
    let mut messages = Vec::new();
    for route in &alias.routes {
        let model_id = &route.model_id;
        let geography = model_id::geography_of(model_id)
            .filter(|geography| fence.side_of(*geography) == Side::Outside);
        if let Some(geography) = geography {
            messages.push(format!(
                "{model_id} may be served in all of `{}`, outside of only: [{fence}]",
                geography.name()
            ));
            continue;
        }
        let verb = match ModelIdKind::of(model_id) {
            ModelIdKind::SystemInferenceProfile | ModelIdKind::ApplicationInferenceProfile => {
                "called"
            }
            _ => "served",
        };
        let own = model_id::region_of_arn(model_id);
        let regions = route.regions.iter().map(String::as_str).chain(own);
        for region in regions.filter(|region| fence.side_of_region(region) == Side::Outside) {
            messages.push(format!(
                "{model_id} is {verb} in {region}, outside of only: [{fence}]"
            ));
        }
    }
    messages
}
