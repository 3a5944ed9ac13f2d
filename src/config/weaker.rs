//! Refuses a reload that would remove protection. A file that is half-written can be valid YAML,
//! and would be a valid configuration without callers.

use super::Config;

const CALLERS: &str = "callers";
const REQUIRED: &str = "access.required";
const TLS: &str = "tls";
const CLIENT_CA: &str = "tls.client_ca_file";
const CLIENT_AUTH: &str = "tls.client_auth";
const ONLY: &str = "only";

/// Returns the keys by which a configuration protects the gateway. A reload must not remove them.
pub fn protection(config: &Config) -> Vec<String> {
    let tls = config.server.tls.as_ref();
    let clients = tls.and_then(|tls| tls.clients.as_ref());
    let of_all = [
        (CALLERS, !config.access.callers.is_empty()),
        (REQUIRED, config.access.required),
        (TLS, tls.is_some()),
        (CLIENT_CA, clients.is_some()),
        (CLIENT_AUTH, clients.is_some_and(|clients| clients.required)),
        (ONLY, !config.targets.only.is_unrestricted()),
    ];
    let of_all = of_all.into_iter().filter(|(_, protects)| *protects);
    let aliases = config.targets.aliases.iter();
    let of_aliases = aliases.filter(|(_, alias)| !alias.only.is_unrestricted());
    of_all
        .map(|(key, _)| key.to_owned())
        .chain(of_aliases.map(|(name, _)| fence_of(name)))
        .collect()
}

/// Returns the protection that a configuration with these keys of [`protection`] has and the next
/// configuration has not: a key, and what the next one lacks. Empty if the next one allows that
/// with `allow_weaker`.
pub fn weakened(old: &[String], new: &Config) -> Vec<(String, &'static str)> {
    if new.allow_weaker {
        return Vec::new();
    }
    let kept = protection(new);
    let removed_alias = |key: &str| {
        let name = key
            .strip_prefix("targets.")
            .and_then(|rest| rest.strip_suffix(".only"));
        name.is_some_and(|name| !new.targets.aliases.contains_key(name))
    };
    let lost = old
        .iter()
        .filter(|key| !kept.contains(key) && !removed_alias(key));
    let lost: Vec<_> = lost.map(|key| (key.clone(), what(key))).collect();
    // Without authorities, no certificate can be required either.
    let no_ca = lost.iter().any(|(key, _)| key == CLIENT_CA);
    lost.into_iter()
        .filter(|(key, _)| !(no_ca && key == CLIENT_AUTH))
        .collect()
}

fn fence_of(alias: &str) -> String {
    format!("targets.{alias}.only")
}

/// Returns what a configuration without this protection lacks.
fn what(key: &str) -> &'static str {
    match key {
        CALLERS => "no caller is left",
        REQUIRED => "calls without an identity would be allowed",
        TLS => "new connections would be plain text",
        CLIENT_CA => "client certificates would no longer be checked",
        CLIENT_AUTH => "client certificates would no longer be required",
        ONLY => "the region fence is missing",
        _ => "the target's region fence is missing",
    }
}
