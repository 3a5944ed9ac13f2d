//! Resolves an alias of the configuration to its routes: one for each model ID, source Region and
//! AWS account, followed by the routes of its fallbacks.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    route::{Route, RouteKey},
    route_table::RouteTable,
    target::{RouteCandidate, Target},
};
use crate::{
    aws::model_id,
    config::{Alias, RouteOptions, Targets},
    error::{Failure, Reason},
};

/// Returns the name of the gateway's own account, which is empty.
pub(super) fn own_account() -> Arc<str> {
    Arc::default()
}

/// Returns the name of the account in an ARN. For other model IDs, returns the gateway's own
/// account.
pub(super) fn owner(account_names: &BTreeMap<String, String>, model_id: &str) -> Arc<str> {
    let id = model_id::account_of_arn(model_id);
    let name = id.and_then(|id| account_names.get(id));
    name.map_or_else(own_account, |name| name.as_str().into())
}

/// Returns the ID of the AWS account of a route. `None` if it is not known.
pub(super) fn account_id(
    account_ids: &BTreeMap<String, String>,
    route: &Route,
) -> Option<Arc<str>> {
    let of_name = account_ids.get(route.account.as_ref()).map(String::as_str);
    of_name
        .or_else(|| model_id::account_of_arn(&route.model_id))
        .map(Arc::from)
}

/// Returns the accounts of a route.
fn accounts(options: &RouteOptions, targets: &Targets) -> Vec<Arc<str>> {
    if options.accounts.is_empty() {
        return vec![owner(&targets.account_names, &options.model_id)];
    }
    let names = options.accounts.iter();
    names.map(|name| name.as_str().into()).collect()
}

/// Creates the target of an alias: its own routes, followed by those of its fallbacks.
pub(super) fn target_of_alias(
    name: &str,
    alias: &Alias,
    targets: &Targets,
    default_region: Option<&str>,
    routes: &mut RouteTable,
) -> Result<Target, Failure> {
    let mut candidates = Vec::new();
    let mut fences = vec![targets.only.clone(), alias.only.clone()];
    let mut next = Some(alias);
    let mut seen = vec![name];
    while let Some(alias) = next {
        let before = candidates
            .iter()
            .map(|known: &RouteCandidate| known.order)
            .max();
        for options in &alias.routes {
            for region in regions(name, options, default_region)? {
                for account in accounts(options, targets) {
                    let key = RouteKey {
                        account,
                        model_id: options.model_id.clone(),
                        source_region: region.to_owned(),
                    };
                    let route = routes.get(key, true);
                    candidates.push(RouteCandidate {
                        account_id: account_id(&targets.account_ids, &route),
                        route,
                        order: before.unwrap_or_default() + options.order,
                        weight: options.weight,
                        invoke_model: alias.invoke_model,
                        body_format: alias.body_format,
                        fences: fences.clone(),
                    });
                }
            }
        }
        next = match &alias.fallback {
            Some(fallback) if !seen.contains(&fallback.as_str()) => {
                seen.push(fallback);
                targets.aliases.get(fallback)
            }
            _ => None,
        };
        fences.extend(next.map(|fallback| fallback.only.clone()));
    }
    candidates.sort_by_key(|candidate| candidate.order);
    for candidate in &mut candidates {
        candidate.fences.retain(|fence| !fence.is_unrestricted());
    }
    Ok(Target {
        name: name.to_owned(),
        is_alias: true,
        description: alias.description.clone(),
        candidates,
        fallback: alias.fallback.clone(),
        defaults: alias.defaults.clone(),
        policy: targets.policy.and(&alias.policy),
        limits: alias.limits,
        request_metadata: alias.request_metadata.clone(),
    })
}

/// Returns the source Regions of a route. An ARN can be called only in its own Region.
fn regions<'a>(
    name: &str,
    options: &'a RouteOptions,
    default_region: Option<&'a str>,
) -> Result<Vec<&'a str>, Failure> {
    if let Some(own) = model_id::region_of_arn(&options.model_id) {
        return Ok(vec![own]);
    }
    if !options.regions.is_empty() {
        return Ok(options.regions.iter().map(String::as_str).collect());
    }
    default_region
        .map(|region| vec![region])
        .ok_or_else(|| no_region(name))
}

/// Returns the failure of a target whose source Region is not known.
pub(super) fn no_region(name: &str) -> Failure {
    Failure::new(
        Reason::UpstreamCredentials,
        format!(
            "target `{name}`: the gateway has no source Region for it; the operator must set AWS_REGION or bedrock.region"
        ),
    )
}
