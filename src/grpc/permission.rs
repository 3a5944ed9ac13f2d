//! Enforces the permissions of callers. Methods are checked before the message is read, targets
//! before they are looked up.
//!
//! The error for a target that the caller may not use is the same as for a target that does not
//! exist. So callers cannot discover the names of others' targets.

use std::sync::Arc;

use crate::{
    access::{Identity, Permission, Rules},
    aws::model_id,
    error::{Failure, Reason},
    routing::{Router, Target},
};

/// The prefix of the methods to which permissions apply.
const PACKAGE: &str = "/bedrock.inference.v1.";
/// The maximum number of names in an error message.
const MOST_NAMED: usize = 10;

/// Returns the methods that a caller may use, or a call without an identity.
///
/// Without callers in the configuration, no permission can name a method, so all of them can be
/// used. With callers, a call without an identity may use what a caller without permissions may.
pub(super) fn methods<'a>(rules: &Rules, caller: Option<&'a Identity>) -> &'a [&'static str] {
    match (caller, caller.and_then(Identity::permission)) {
        (_, Some(permission)) => permission.methods(),
        (None, None) if !rules.identify_callers() => &crate::config::METHODS,
        (_, None) => &crate::config::DEFAULT_METHODS,
    }
}

/// Checks whether the caller may use the method of a path, such as
/// `/bedrock.inference.v1.TargetService/GetTarget`.
///
/// # Errors
/// Fails if the caller may not use the method.
pub(super) fn check_path(
    rules: &Rules,
    caller: Option<&Identity>,
    path: &str,
) -> Result<(), Failure> {
    let method = path
        .strip_prefix(PACKAGE)
        .and_then(|rest| rest.split_once('/'))
        // Methods that are not in `METHODS` cannot be named in `permissions.methods`, so every
        // caller may use them.
        .map(|(_, method)| method)
        .filter(|method| crate::config::METHODS.contains(method));
    let Some(method) = method else {
        return Ok(());
    };
    let allowed = methods(rules, caller);
    if allowed.contains(&method) {
        return Ok(());
    }
    let message = match caller {
        Some(caller) => format!(
            "caller `{}` may not call {method}; it may call {}",
            caller.name(),
            listed(allowed.iter().copied())
        ),
        None => format!(
            "a call without a credential may not call {method}; send the credential of a caller that may"
        ),
    };
    Err(Failure::new(Reason::CallerNotAllowed, message))
}

/// Resolves the `target` of a request for a caller.
///
/// # Errors
/// Fails if the caller may not use the target, or if it cannot be resolved.
pub(super) fn resolve(
    router: &Router,
    caller: Option<&Identity>,
    name: &str,
) -> Result<Arc<Target>, Failure> {
    let Some((caller, permission)) = restricted(caller) else {
        return router.resolve(name);
    };
    if permission.admits_all_targets() {
        return router.resolve(name);
    }
    let is_visible = |alias: &str| permission.targets.admits(alias);
    if router.is_alias(name) || !model_id::is_raw(name) {
        if !is_visible(name) {
            return Err(not_allowed(router, caller, permission, name));
        }
        // A name that is not an alias can only be a model ID.
        if !router.is_alias(name) && !permission.model_ids.admits(name) {
            return Err(router.unknown_among(name, is_visible));
        }
    } else if !permission.model_ids.admits(name) {
        return Err(not_allowed(router, caller, permission, name));
    }
    router.resolve_among(name, is_visible)
}

/// Returns whether a caller may use a target. The target must exist.
pub(super) fn may_use(router: &Router, caller: Option<&Identity>, name: &str) -> bool {
    let Some((_, permission)) = restricted(caller) else {
        return true;
    };
    if router.is_alias(name) {
        permission.targets.admits(name)
    } else {
        permission.model_ids.admits(name)
    }
}

/// Returns the patterns of the model IDs and ARNs that a caller can name.
pub(super) fn allowed_model_ids(router: &Router, caller: Option<&Identity>) -> Vec<String> {
    let all = router.allowed_model_ids();
    match restricted(caller) {
        Some((_, permission)) => permission.model_ids.within(all),
        None => all.to_vec(),
    }
}

fn restricted(caller: Option<&Identity>) -> Option<(&Identity, &Permission)> {
    let caller = caller?;
    Some((caller, caller.permission()?))
}

fn not_allowed(router: &Router, caller: &Identity, permission: &Permission, name: &str) -> Failure {
    let aliases = router
        .aliases()
        .filter(|alias| permission.targets.admits(alias));
    let model_ids = permission.model_ids.within(router.allowed_model_ids());
    let mut message = format!(
        "target `{name}`: caller `{}` may not use it; it may use {}",
        caller.name(),
        listed(aliases)
    );
    if !model_ids.is_empty() {
        message.push_str(&format!(
            ", and the model IDs {}",
            listed(model_ids.iter().map(String::as_str))
        ));
    }
    Failure::new(Reason::CallerNotAllowed, message)
}

/// Formats names for an error message.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.collect();
    let further = names.len().saturating_sub(MOST_NAMED);
    names.truncate(MOST_NAMED);
    match (names.is_empty(), further) {
        (true, _) => "none".to_owned(),
        (false, 0) => names.join(", "),
        (false, further) => format!("{}, and {further} more", names.join(", ")),
    }
}
