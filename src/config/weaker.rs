//! Refuses a reload that would remove protection. A file that is half-written can be valid YAML,
//! and would be a valid configuration without callers.

use std::collections::BTreeSet;

use super::{Config, Permission, Quota, RequestPolicy};

/// The beginnings of the keys of targets, groups and callers.
const TARGETS: &str = "targets.";
const GROUPS: &str = "groups.";
const CALLERS_OF: &str = "callers.";
const CALLERS: &str = "callers";
const REQUIRED: &str = "access.required";
const TLS: &str = "tls";
const CLIENT_CA: &str = "tls.client_ca_file";
const CLIENT_AUTH: &str = "tls.client_auth";
const ONLY: &str = "only";
const GUARDRAIL: &str = "guardrail";
const MAX_TOKENS: &str = "limits.max_tokens";
const SERVICE_TIERS: &str = "service_tiers";
const S3_LOCATIONS: &str = "s3_locations";
/// In the keys of a caller: what comes before the name of a group with restrictions.
const IN_GROUP: &str = ".groups.";

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
    let mut keys: Vec<_> = of_all.map(|(key, _)| key.to_owned()).collect();
    // Without `s3_locations` for all targets, no request may name any.
    keys.extend(of_policy(&config.targets.policy).filter(|key| key != S3_LOCATIONS));
    for (name, alias) in &config.targets.aliases {
        let fence = (!alias.only.is_unrestricted()).then(|| ONLY.to_owned());
        let of_alias = fence.into_iter().chain(of_policy(&alias.policy));
        let of_alias = of_alias.chain(of_quota(&alias.limits.quota));
        keys.extend(of_alias.map(|key| format!("{TARGETS}{name}.{key}")));
    }
    let mut restricted = BTreeSet::new();
    for (name, group) in &config.access.groups {
        let of_group = of_permission(&group.permission).chain(of_quota(&group.quota));
        let before = keys.len();
        keys.extend(of_group.map(|key| format!("{GROUPS}{name}.{key}")));
        if keys.len() > before {
            restricted.insert(name);
        }
    }
    for (name, caller) in &config.access.callers {
        let of_caller = of_permission(&caller.permission).chain(of_quota(&caller.quota));
        keys.extend(of_caller.map(|key| format!("{CALLERS_OF}{name}.{key}")));
        let groups = caller.groups.iter();
        let groups = groups.filter(|group| restricted.contains(group));
        keys.extend(groups.map(|group| format!("{CALLERS_OF}{name}{IN_GROUP}{group}")));
    }
    keys
}

/// Returns the keys of what is enforced on requests.
fn of_policy(policy: &RequestPolicy) -> impl Iterator<Item = String> {
    let keys = [
        (GUARDRAIL, policy.enforced_guardrail().is_some()),
        (MAX_TOKENS, policy.max_tokens.is_some()),
        (SERVICE_TIERS, policy.service_tiers.is_some()),
        (S3_LOCATIONS, policy.s3_locations.is_some()),
    ];
    set(keys)
}

/// Returns the keys of what restricts callers.
fn of_permission(permission: &Permission) -> impl Iterator<Item = String> {
    let keys = [
        ("methods", permission.methods.is_some()),
        ("targets", permission.targets.is_some()),
        ("allowed_model_ids", permission.model_ids().is_some()),
    ];
    set(keys).chain(of_policy(&permission.policy))
}

/// Returns the keys of a quota.
fn of_quota(quota: &Quota) -> impl Iterator<Item = String> {
    let limits = quota.limits().map(|(key, limit)| (key, limit.is_some()));
    set(limits).map(|key| format!("limits.{key}"))
}

fn set<const N: usize>(keys: [(&str, bool); N]) -> impl Iterator<Item = String> {
    let set = keys.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(key, _)| key.to_owned())
}

/// Returns the protection that a configuration with these keys of [`protection`] has and the next
/// configuration has not: a key, and what the next one lacks. Empty if the next one allows that
/// with `allow_weaker`.
pub fn weakened(old: &[String], new: &Config) -> Vec<(String, String)> {
    if new.allow_weaker {
        return Vec::new();
    }
    let kept: BTreeSet<_> = protection(new).into_iter().collect();
    let lost = old.iter().filter(|key| {
        !kept.contains(*key)
            && !is_of_removed(key, new)
            // Without any list, no request may name any location.
            && (!key.ends_with(S3_LOCATIONS) || names_s3_locations(new))
    });
    let lost: Vec<_> = lost.map(|key| (key.clone(), what(key))).collect();
    // Without authorities, no certificate can be required either.
    let no_ca = lost.iter().any(|(key, _)| key == CLIENT_CA);
    lost.into_iter()
        .filter(|(key, _)| !(no_ca && key == CLIENT_AUTH))
        .collect()
}

/// Returns whether a key belongs to a target or a caller that a configuration does not have. Then
/// nothing is left to protect. A group can be removed while its callers stay, so the callers'
/// memberships count, not the group.
fn is_of_removed(key: &str, new: &Config) -> bool {
    let access = &new.access;
    if let Some(rest) = key.strip_prefix(TARGETS) {
        return !is_of(rest, |name| new.targets.aliases.contains_key(name));
    }
    if let Some(rest) = key.strip_prefix(GROUPS) {
        return !is_of(rest, |name| access.groups.contains_key(name));
    }
    let of_caller = key.strip_prefix(CALLERS_OF);
    of_caller.is_some_and(|rest| !is_of(rest, |name| access.callers.contains_key(name)))
}

/// Returns whether a name that exists is the beginning of a key. Names can contain dots.
fn is_of(key: &str, exists: impl Fn(&str) -> bool) -> bool {
    let mut names = key.match_indices('.').map(|(dot, _)| &key[..dot]);
    names.any(exists)
}

fn names_s3_locations(config: &Config) -> bool {
    let aliases = config.targets.aliases.values().map(|alias| &alias.policy);
    let groups = config.access.groups.values();
    let callers = config.access.callers.values();
    let mut policies = aliases
        .chain(groups.map(|group| &group.permission.policy))
        .chain(callers.map(|caller| &caller.permission.policy))
        .chain([&config.targets.policy]);
    policies.any(|policy| policy.s3_locations.is_some())
}

/// Returns what a configuration without this protection lacks.
fn what(key: &str) -> String {
    let whole = match key {
        CALLERS => "no caller is left",
        REQUIRED => "calls without an identity would be allowed",
        TLS => "new connections would be plain text",
        CLIENT_CA => "client certificates would no longer be checked",
        CLIENT_AUTH => "client certificates would no longer be required",
        ONLY => "the region fence is missing",
        GUARDRAIL => "no guardrail would be enforced for all targets",
        _ => "",
    };
    if !whole.is_empty() {
        return whole.to_owned();
    }
    let owner = match key {
        of_target if of_target.starts_with(TARGETS) => "the target",
        of_group if of_group.starts_with(GROUPS) => "the group",
        of_caller if of_caller.starts_with(CALLERS_OF) => "the caller",
        _ => "all targets",
    };
    let ends_with = |end: &str| {
        key.strip_suffix(end)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    if key.starts_with(CALLERS_OF)
        && let Some((_, group)) = key.split_once(IN_GROUP)
    {
        return format!("the caller would lose the restrictions of the group {group}");
    }
    if ends_with(GUARDRAIL) {
        return format!("no guardrail would be enforced for {owner}");
    }
    if ends_with(ONLY) {
        return "the target's region fence is missing".to_owned();
    }
    format!("the restriction of {owner} is missing")
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

    /// Everything that restricts calls counts, wherever it is.
    #[test]
    fn no_restriction_disappears() {
        let target = |more: &str| of_target(more);
        let lost = |old: &str, new: &str| {
            let lost = weakened(&protection(&config(old)), &config(new));
            let lost = lost.into_iter().map(|(key, what)| format!("{key}: {what}"));
            lost.collect::<Vec<_>>()
        };
        let bare = target("");
        for (setting, key) in [
            ("limits: {max_tokens: 100}", "limits.max_tokens"),
            ("service_tiers: [flex]", "service_tiers"),
        ] {
            let expected = format!("{key}: the restriction of all targets is missing");
            assert_eq!(lost(&format!("{setting}\n{bare}"), &bare), [expected]);
            let expected = format!("targets.a.{key}: the restriction of the target is missing");
            assert_eq!(lost(&target(&format!(", {setting}")), &bare), [expected]);
        }
        let quota = target(", limits: {tokens_per_minute: 100}");
        assert_eq!(
            lost(&quota, &bare),
            ["targets.a.limits.tokens_per_minute: the restriction of the target is missing"]
        );
        let restrictions = [
            (ENFORCED, "guardrail"),
            ("limits: {max_tokens: 100}", "limits.max_tokens"),
            ("limits: {open_streams: 1}", "limits.open_streams"),
            ("methods: [Invoke]", "methods"),
            ("service_tiers: [flex]", "service_tiers"),
        ];
        for (setting, key) in restrictions {
            let with = |caller: &str, group: &str| {
                format!(
                    "{bare}callers: {{x.y: {{{caller}}}, z: {{}}}}\ngroups: {{g.h: {{{group}}}}}\n"
                )
            };
            let free = with("", "");
            let of_caller = lost(&with(setting, ""), &free);
            assert_eq!(of_caller.len(), 1, "{of_caller:?}");
            assert!(of_caller[0].starts_with(&format!("callers.x.y.{key}: ")));
            let of_group = lost(&with("", setting), &free);
            assert_eq!(of_group.len(), 1, "{of_group:?}");
            assert!(of_group[0].starts_with(&format!("groups.g.h.{key}: ")));
            // A caller must not leave a group with restrictions, unless the caller is removed.
            let member = with("groups: [g.h]", setting);
            let left =
                "callers.x.y.groups.g.h: the caller would lose the restrictions of the group g.h";
            assert_eq!(lost(&member, &with("", setting)), [left]);
            let no_group = format!("{bare}callers: {{x.y: {{}}}}\n");
            assert_eq!(lost(&member, &no_group), [left]);
            let no_caller = format!("{bare}callers: {{z: {{}}}}\n");
            assert_eq!(lost(&member, &no_caller), [""; 0]);
            assert_eq!(lost(&with("groups: [g.h]", ""), &free), [""; 0]);
        }
        // A changed value is not a lost one.
        let changed = target(", limits: {max_tokens: 5, tokens_per_minute: 7}");
        assert_eq!(
            lost(
                &target(", limits: {max_tokens: 100, tokens_per_minute: 100}"),
                &changed
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_list_of_locations_restricts_only_what_another_list_allows() {
        let lost = |old: &str, new: &str| {
            let lost = weakened(&protection(&config(old)), &config(new));
            lost.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        let of_all = "s3_locations: ['s3://bucket']\n";
        let (bare, narrow) = (
            of_target(""),
            of_target(", s3_locations: ['s3://bucket/b/']"),
        );
        let key = "targets.a.s3_locations";
        assert_eq!(
            lost(&format!("{of_all}{narrow}"), &format!("{of_all}{bare}")),
            [key]
        );
        assert_eq!(lost(&narrow, &bare), [""; 0]);
        assert_eq!(lost(&format!("{of_all}{bare}"), &bare), [""; 0]);
    }
}
