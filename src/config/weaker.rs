//! Refuses a reload that would remove protection. A file that is half-written can be valid YAML,
//! and would be a valid configuration without callers.

use super::{Config, RequestPolicy};

/// The beginning of the keys of a target.
const TARGETS: &str = "targets.";
const CALLERS: &str = "callers";
const REQUIRED: &str = "access.required";
const TLS: &str = "tls";
const CLIENT_CA: &str = "tls.client_ca_file";
const CLIENT_AUTH: &str = "tls.client_auth";
const ONLY: &str = "only";
const GUARDRAIL: &str = "guardrail";

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
        (GUARDRAIL, enforces_guardrail(&config.targets.policy)),
    ];
    let of_all = of_all.into_iter().filter(|(_, protects)| *protects);
    let aliases = config.targets.aliases.iter();
    let of_aliases = aliases.flat_map(|(name, alias)| {
        [
            (ONLY, !alias.only.is_unrestricted()),
            (GUARDRAIL, enforces_guardrail(&alias.policy)),
        ]
        .into_iter()
        .filter(|(_, protects)| *protects)
        .map(move |(key, _)| format!("{TARGETS}{name}.{key}"))
    });
    of_all
        .map(|(key, _)| key.to_owned())
        .chain(of_aliases)
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
        // The name of a target contains no dot.
        let rest = key.strip_prefix(TARGETS);
        let name = rest.and_then(|rest| rest.split_once('.'));
        name.is_some_and(|(name, _)| !new.targets.aliases.contains_key(name))
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

fn enforces_guardrail(policy: &RequestPolicy) -> bool {
    policy.enforced_guardrail().is_some()
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
        GUARDRAIL => "no guardrail would be enforced for all targets",
        of_target if of_target.ends_with(GUARDRAIL) => {
            "no guardrail would be enforced for the target"
        }
        _ => "the target's region fence is missing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENFORCED: &str = "guardrail: {identifier: gr-1234567890ab, version: '1', enforced: true}";
    const OPTIONAL: &str = "guardrail: {identifier: gr-1234567890ab, version: '1'}";

    fn config(text: &str) -> Config {
        Config::parse(text, &|_| None).unwrap()
    }

    fn of_target(more: &str) -> String {
        format!("targets: {{a: {{model_id: amazon.nova-lite-v1:0{more}}}}}\n")
    }

    #[test]
    fn an_enforced_guardrail_does_not_disappear() {
        let bare = of_target("");
        let of_all = |guardrail: &str| format!("{guardrail}\n{bare}");
        let in_target = |guardrail: &str| of_target(&format!(", {guardrail}"));
        let in_defaults = of_target(&format!(", defaults: {{{ENFORCED}}}"));
        let other = "targets: {b: {model_id: amazon.nova-lite-v1:0}}\n";
        let renewed = ENFORCED.replace("'1'", "'2'");
        for (old, new, lost) in [
            (of_all(ENFORCED), bare.clone(), Some(GUARDRAIL)),
            (of_all(ENFORCED), of_all(OPTIONAL), Some(GUARDRAIL)),
            (of_all(ENFORCED), in_target(ENFORCED), Some(GUARDRAIL)),
            (
                in_target(ENFORCED),
                bare.clone(),
                Some("targets.a.guardrail"),
            ),
            (
                in_target(ENFORCED),
                in_target(OPTIONAL),
                Some("targets.a.guardrail"),
            ),
            (
                in_defaults.clone(),
                bare.clone(),
                Some("targets.a.guardrail"),
            ),
            // The protection stays, or nothing is left to protect, or there was none.
            (of_all(ENFORCED), of_all(&renewed), None),
            (in_defaults, in_target(ENFORCED), None),
            (in_target(ENFORCED), other.to_owned(), None),
            (of_all(OPTIONAL), bare.clone(), None),
            (
                of_all(ENFORCED),
                format!("allow_weaker: true\n{bare}"),
                None,
            ),
        ] {
            let weaker = weakened(&protection(&config(&old)), &config(&new));
            let keys: Vec<_> = weaker.iter().map(|(key, _)| key.as_str()).collect();
            assert_eq!(keys, Vec::from_iter(lost), "{old} -> {new}");
            for (_, what) in weaker {
                assert!(what.starts_with("no guardrail"), "{what}");
            }
        }
    }

    #[test]
    fn a_target_can_lose_its_fence_and_its_guardrail() {
        let old = config(&of_target(&format!(", only: [us], {ENFORCED}")));
        let keys = protection(&old);
        assert_eq!(keys, ["targets.a.only", "targets.a.guardrail"]);
        let lost = weakened(&keys, &config(&of_target("")));
        let lost: Vec<_> = lost.into_iter().map(|(key, _)| key).collect();
        assert_eq!(lost, keys);
    }
}
