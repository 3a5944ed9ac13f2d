//! Refuses a reload that would remove protection, for example because the file is only
//! half-written: such a file can be valid YAML, and a valid configuration without callers.
//!
//! | file | job |
//! |---|---|
//! | `protection` | lists the settings that protect the gateway |
//! | `key` | the keys of these settings |
//! | `credential` | finds out whether credentials of a removed caller would still be accepted |
//!

mod credential;
mod key;
mod protection;

use std::collections::BTreeSet;

use self::{
    credential::{accepts_tokens_of, falls_to_others, is_credential},
    key::{Place, ProtectedKey},
    protection::{
        CALLER_PREFIX, CALLERS, CLIENT_AUTH, CLIENT_CA, FROM_HEADERS, GROUPS, GUARDRAIL, KEYS_FILE,
        LISTS, METADATA, ON_REVOKE, ONLY, PROJECT, PROJECTS, REQUIRED, S3_LOCATIONS, TAGS, TLS,
        UNLISTED, protected,
    },
};
use super::{Config, KeysByCaller, RequestPolicy};

/// Returns the keys of the settings that protect the gateway. A reload must not remove them.
pub fn protection(config: &Config) -> Vec<String> {
    let keys = protected(config).into_iter();
    keys.map(|key| key.to_string()).collect()
}

/// Compares these keys of [`protection`] with the next configuration. Returns each key whose
/// protection would be lost, and a message that says what would be missing. The result is empty if
/// the next configuration sets `allow_weaker`.
pub fn weakened(old: &[String], new: &Config) -> Vec<(String, String)> {
    if new.allow_weaker {
        return Vec::new();
    }
    let change = Change {
        old: old.iter().map(|key| ProtectedKey::parse(key)).collect(),
        kept: protected(new).into_iter().collect(),
        new,
    };
    // The result has the order of `old`, which is the order of the sections in the file.
    let keys = old.iter().map(|key| ProtectedKey::parse(key));
    let lost: Vec<_> = keys.filter(|key| change.loses(key)).collect();
    // Without client CAs, certificates cannot be required either, so this is not reported
    // separately.
    let no_ca = lost.iter().any(|key| key.setting == CLIENT_CA);
    lost.into_iter()
        .filter(|key| !(no_ca && key.setting == CLIENT_AUTH))
        .map(|key| (key.to_string(), change.what(&key)))
        .collect()
}

/// Returns the key and a message if a new configuration has no key in its keys file, although the
/// old one has. `keys` is the content of the new file, and empty if the configuration names none.
/// `None` if the configuration sets `allow_weaker`.
pub fn without_keys(new: &Config, keys: &KeysByCaller) -> Option<(String, String)> {
    if new.allow_weaker || keys.values().any(|keys| !keys.is_empty()) {
        return None;
    }
    let lost = match &new.access.keys_file {
        Some(path) => format!(
            "{} contains no key, so all keys would be revoked",
            path.display()
        ),
        None => "the keys file is no longer used, so all of its keys would be revoked".to_owned(),
    };
    Some((KEYS_FILE.to_owned(), lost))
}

/// The old and the new configuration, and the protected keys of each.
struct Change<'a> {
    old: BTreeSet<ProtectedKey>,
    kept: BTreeSet<ProtectedKey>,
    new: &'a Config,
}

impl Change<'_> {
    /// Returns whether the new configuration lacks a key of the old one and does not replace its
    /// protection.
    fn loses(&self, key: &ProtectedKey) -> bool {
        !self.kept.contains(key)
            && !self.is_of_removed(key)
            && !self.is_moved(key)
            && (!is_credential(&key.setting) || self.falls_to_others(key))
            // If no level has one of these lists, requests may not name anything, so no protection
            // is lost.
            && (key.setting != S3_LOCATIONS
                || has_policy(self.new, |policy| policy.s3_locations.is_some()))
            && (key.setting != PROJECTS
                || has_policy(self.new, |policy| policy.projects.is_some()))
    }

    /// Returns whether a key belongs to a part that the new configuration does not contain, so that
    /// nothing is left to protect. A group can be removed while its callers remain; this is
    /// detected by the keys of their memberships. A caller can be removed while its credentials are
    /// still accepted.
    fn is_of_removed(&self, key: &ProtectedKey) -> bool {
        let access = &self.new.access;
        let unlisted = key.setting.starts_with(UNLISTED);
        match &key.place {
            Place::All => false,
            Place::Target(name) => !self.new.targets.aliases.contains_key(name),
            // Tokens may still name the group.
            Place::Group(name) => {
                let is_named = access
                    .jwt
                    .iter()
                    .any(|issuer| issuer.groups_claim.is_some());
                !access.groups.contains_key(name) && !is_named
            }
            Place::Caller(name) => {
                !access.callers.contains_key(name)
                    && !is_credential(&key.setting)
                    && !accepts_tokens_of(access, name)
            }
            Place::Account(name) => !self.new.accounts.contains_key(name),
            // If `unlisted` is missing, callers that are not configured are refused.
            Place::Issuer(name) => {
                let mut issuers = access.jwt.iter();
                !issuers.any(|issuer| {
                    issuer.issuer == *name && (!unlisted || issuer.unlisted.is_some())
                })
            }
            Place::Cluster => {
                let cluster = access.kubernetes.as_ref();
                cluster.is_none_or(|cluster| unlisted && cluster.unlisted.is_none())
            }
        }
    }

    /// Returns whether a credential that a caller no longer has would identify another caller.
    fn falls_to_others(&self, key: &ProtectedKey) -> bool {
        match &key.place {
            Place::Caller(name) => falls_to_others(&self.new.access, name, &key.setting),
            _ => false,
        }
    }

    /// Returns whether a setting was moved to places where it restricts at least the same calls.
    fn is_moved(&self, key: &ProtectedKey) -> bool {
        let setting = &key.setting;
        match &key.place {
            Place::Target(_) => self.is_added(&Place::All, setting),
            // A fixed value for all calls replaces the value of a header.
            Place::All => setting.strip_prefix(FROM_HEADERS).is_some_and(|pair| {
                let fixed = ProtectedKey::new(&Place::All, format!("{METADATA}{pair}"));
                self.kept.contains(&fixed)
            }),
            Place::Group(name) => {
                self.is_added(&Place::All, setting) || self.is_moved_to_callers(name, setting)
            }
            Place::Caller(name) => match group_of(setting) {
                Some(group) => {
                    let group = Place::Group(group.to_owned());
                    let mut of_group = self.old.iter().filter(|key| key.place == group);
                    of_group.all(|key| self.is_added_for(name, &key.setting))
                }
                None => self.is_added_for(name, setting),
            },
            Place::Account(_) | Place::Issuer(_) | Place::Cluster => false,
        }
    }

    /// Returns whether a setting of a group was moved to each of its callers.
    fn is_moved_to_callers(&self, group: &str, setting: &str) -> bool {
        let access = &self.new.access;
        let is_group = |name: &String| name == group;
        // If tokens can name groups, or callers that are not configured are in this group, its
        // callers are not all known.
        let unlisted = access.jwt.iter().map(|issuer| &issuer.unlisted);
        let unlisted = unlisted.chain(access.kubernetes.iter().map(|cluster| &cluster.unlisted));
        let mut unlisted = unlisted.flatten().flat_map(|unlisted| &unlisted.groups);
        if access
            .jwt
            .iter()
            .any(|issuer| issuer.groups_claim.is_some())
            || unlisted.any(is_group)
        {
            return false;
        }
        let callers = access.callers.iter();
        let mut members = callers
            .filter(|(_, caller)| caller.groups.iter().any(is_group))
            .peekable();
        members.peek().is_some()
            && members.all(|(name, _)| self.is_added(&Place::Caller(name.clone()), setting))
    }

    /// Returns whether a setting now applies to a caller because of a place where it was not set
    /// before.
    fn is_added_for(&self, caller: &str, setting: &str) -> bool {
        let place = Place::Caller(caller.to_owned());
        let options = self.new.access.callers.get(caller);
        let groups: Vec<_> = options
            .into_iter()
            .flat_map(|options| &options.groups)
            .filter(|name| {
                let group = Place::Group((*name).clone());
                self.kept.contains(&ProtectedKey::new(&group, setting))
            })
            .collect();
        // Groups add to each other's lists, so the list of one group does not restrict a caller
        // that is also in another group with such a list.
        let restrict = groups.len() == 1 || !LISTS.contains(&setting);
        self.is_added(&Place::All, setting)
            || self.is_added(&place, setting)
            || restrict
                && groups.into_iter().any(|name| {
                    self.is_added(&Place::Group(name.clone()), setting)
                        || self.is_added(&place, &format!("{GROUPS}{name}]"))
                })
    }

    fn is_added(&self, place: &Place, setting: &str) -> bool {
        let key = ProtectedKey::new(place, setting);
        self.kept.contains(&key) && !self.old.contains(&key)
    }

    /// Returns a message that says what a configuration without this protection lacks.
    fn what(&self, key: &ProtectedKey) -> String {
        let (place, setting) = (&key.place, key.setting.as_str());
        let of_all = match setting {
            CALLERS => "no caller is left",
            REQUIRED => "calls without an identity would be allowed",
            ON_REVOKE => "open calls of revoked credentials would continue",
            TLS => "new connections would be plain text",
            CLIENT_CA => "client certificates would no longer be checked",
            CLIENT_AUTH => "client certificates would no longer be required",
            ONLY => "the region fence is missing",
            _ => "",
        };
        if *place == Place::All && !of_all.is_empty() {
            return of_all.to_owned();
        }
        let is_entry = |key: &str| setting.starts_with(key);
        let access = &self.new.access;
        match place {
            Place::Caller(name) if is_credential(setting) => {
                return format!(
                    "this credential would still be accepted, without the restrictions of {name}"
                );
            }
            Place::Caller(name) if !access.callers.contains_key(name) => {
                return "tokens of the removed caller would still be accepted, without this setting"
                .to_owned();
            }
            Place::Group(name) if !access.groups.contains_key(name) => {
                return "tokens may still name the removed group, and would lose its restrictions"
                    .to_owned();
            }
            _ => {}
        }
        match setting {
            GUARDRAIL => format!("no guardrail would be enforced for {place}"),
            PROJECT => format!("no project would be set for {place}"),
            ONLY => "the target's region fence is missing".to_owned(),
            CALLER_PREFIX => {
                "callers with tokens of the issuer could have the names of other callers".to_owned()
            }
            _ if is_entry(FROM_HEADERS) => {
                "this pair is no longer added; callers could choose its value".to_owned()
            }
            _ if is_entry(METADATA) => {
                format!("this value is no longer set for {place}; callers could choose it")
            }
            _ if is_entry(TAGS) => format!("the sessions of {place} would lack this tag"),
            _ if is_entry(UNLISTED) => {
                "callers that are not configured would lose the restrictions of the group"
                    .to_owned()
            }
            _ => match group_of(setting) {
                Some(group) => {
                    format!("the caller would lose the restrictions of the group {group}")
                }
                None => format!("the restriction of {place} is missing"),
            },
        }
    }
}

/// Returns the name of the group if this setting is the membership in a group.
fn group_of(setting: &str) -> Option<&str> {
    setting.strip_prefix(GROUPS)?.strip_suffix(']')
}

/// Returns whether the policy of any level meets a condition.
fn has_policy(config: &Config, meets: impl Fn(&RequestPolicy) -> bool) -> bool {
    let aliases = config.targets.aliases.values().map(|alias| &alias.policy);
    let groups = config.access.groups.values();
    let callers = config.access.callers.values();
    let mut policies = aliases
        .chain(groups.map(|group| &group.permission.policy))
        .chain(callers.map(|caller| &caller.permission.policy))
        .chain([&config.targets.policy]);
    policies.any(meets)
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
            // In these cases the protection remains, there was none, nothing is left to protect, or
            // the operator allows the change.
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

    /// Every setting that restricts calls is protected, wherever it is set.
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
            ("project: a", "project"),
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
                "callers.x.y.groups[g.h]: the caller would lose the restrictions of the group g.h";
            assert_eq!(lost(&member, &with("", setting)), [left]);
            let no_group = format!("{bare}callers: {{x.y: {{}}}}\n");
            assert_eq!(lost(&member, &no_group), [left]);
            let no_caller = format!("{bare}callers: {{z: {{}}}}\n");
            assert_eq!(lost(&member, &no_caller), [""; 0]);
            assert_eq!(lost(&with("groups: [g.h]", ""), &free), [""; 0]);
        }
        // Changing the value of a setting does not remove it.
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
        // A request may name what all lists allow, so the list of all targets restricts others.
        let everywhere = of_target(", s3_locations: ['*']");
        assert_eq!(
            lost(&format!("{of_all}{everywhere}"), &everywhere),
            [S3_LOCATIONS]
        );
        for section in ["callers", "groups"] {
            let inner = format!("{bare}{section}: {{x: {{s3_locations: ['*']}}}}\n");
            assert_eq!(lost(&format!("{of_all}{inner}"), &inner), [S3_LOCATIONS]);
        }
    }

    /// Returns the keys that are lost by a change.
    fn lost(old: &str, new: &str) -> Vec<String> {
        let lost = weakened(&protection(&config(old)), &config(new));
        lost.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_project_does_not_disappear() {
        let bare = of_target("");
        let of_caller = |more: &str| format!("{bare}callers: {{x.y: {{{more}}}}}\n");
        let by_region = of_target(", project: {us-east-1: a, eu-west-1: b}");
        let of_all = |more: &str| format!("{more}\n{bare}");
        for (old, new, expected) in [
            (
                of_target(", project: a"),
                bare.clone(),
                Some("targets.a.project"),
            ),
            (of_target(", project: a"), by_region.clone(), None),
            (by_region, of_all("project: a"), None),
            (of_all("project: a"), bare.clone(), Some("project")),
            (
                of_caller("project: a"),
                of_caller(""),
                Some("callers.x.y.project"),
            ),
            (of_caller("project: a"), of_caller("project: b"), None),
            // Without any list, requests may not name a project.
            (of_caller("projects: [a]"), of_caller(""), None),
            (
                of_caller("projects: [a]") + "project: b\nprojects: ['*']\n",
                of_caller("") + "project: b\nprojects: ['*']\n",
                Some("callers.x.y.projects"),
            ),
        ] {
            let expected: Vec<_> = expected.into_iter().collect();
            assert_eq!(lost(&old, &new), expected, "{old}{new}");
        }
    }

    #[test]
    fn a_caller_is_not_taken_for_another_whose_name_continues() {
        let with = |callers: &str| format!("{}callers: {{{callers}}}\n", of_target(""));
        let limited = "limits: {open_streams: 1}, methods: [Invoke], groups: [g.limits]";
        let groups = "groups: {g.limits: {service_tiers: [flex]}}\n";
        let both = with(&format!(
            "x: {{}}, x.y: {{{limited}}}, x.limits: {{{limited}}}"
        ));
        assert_eq!(lost(&format!("{both}{groups}"), &with("x: {}")), [""; 0]);
        let free = format!("{}{groups}", with("x: {}, x.y: {}, x.limits: {}"));
        let expected: Vec<_> = ["x.limits", "x.y"]
            .iter()
            .flat_map(|name| {
                ["methods", "limits.open_streams", "groups[g.limits]"]
                    .map(|key| format!("callers.{name}.{key}"))
            })
            .collect();
        assert_eq!(lost(&format!("{both}{groups}"), &free), expected);
    }

    #[test]
    fn metadata_for_cost_reports_does_not_disappear() {
        let bare = of_target("");
        let all = |pairs: &str| format!("request_metadata: {{{pairs}}}\n{bare}");
        assert_eq!(
            lost(&all("set: {team: a, a.b: c}"), &all("set: {team: b}")),
            ["request_metadata[a.b]"]
        );
        assert_eq!(
            lost(&all("from_headers: {team: x-team}"), &bare),
            ["request_metadata.from_headers[team]"]
        );
        // A fixed value replaces that of a header. The reverse would let callers choose the value.
        assert_eq!(
            lost(&all("from_headers: {team: x-team}"), &all("set: {team: a}")),
            [""; 0]
        );
        let header = all("from_headers: {team: x-team}");
        assert_eq!(
            lost(&all("set: {team: a}"), &header),
            ["request_metadata[team]"]
        );
        let target = of_target(", request_metadata: {team: a}");
        for new in [&bare, &header] {
            assert_eq!(lost(&target, new), ["targets.a.request_metadata[team]"]);
        }
        assert_eq!(lost(&target, &all("set: {team: a}")), [""; 0]);
        for section in ["callers", "groups"] {
            let with = |pairs: &str| {
                format!("{bare}{section}: {{x.y: {{request_metadata: {{{pairs}}}}}}}\n")
            };
            let key = format!("{section}.x.y.request_metadata[a.b]");
            assert_eq!(lost(&with("a.b: c, d: e"), &with("d: e")), [key.as_str()]);
            let header = format!(
                "request_metadata: {{from_headers: {{a.b: x-team}}}}\n{}",
                with("")
            );
            assert_eq!(lost(&with("a.b: c"), &header), [key]);
        }
    }

    #[test]
    fn what_revocation_and_tokens_restrict_does_not_disappear() {
        let bare = format!("{}callers: {{x: {{}}}}\n", of_target(""));
        let cut = |word: &str| format!("access: {{on_revoke: {word}}}\n{bare}");
        assert_eq!(lost(&cut("cut"), &cut("finish")), ["access.on_revoke"]);
        assert_eq!(lost(&cut("cut"), &bare), ["access.on_revoke"]);
        assert_eq!(lost(&cut("finish"), &bare), [""; 0]);
        let groups = "groups: {g: {methods: [Invoke]}, free: {}}\n";
        let issuer = |more: &str| {
            format!(
                "{bare}{groups}access: {{jwt: [{{issuer: 'https://a.example/x.y', audiences: [b]{more}}}]}}\n"
            )
        };
        let of_issuer = |key: &str| format!("access.jwt[https://a.example/x.y].{key}");
        for (more, key) in [
            (", caller_prefix: 'a/'", "caller_prefix"),
            (", groups_claim: groups", "groups_claim"),
        ] {
            assert_eq!(lost(&issuer(more), &issuer("")), [of_issuer(key)]);
            let none = format!("{bare}{groups}access: {{required: true}}\n");
            assert_eq!(lost(&issuer(more), &none), [""; 0]);
        }
        let unlisted = |groups: &str| issuer(&format!(", unlisted: {{groups: [{groups}]}}"));
        assert_eq!(
            lost(&unlisted("g, free"), &unlisted("")),
            [of_issuer("unlisted.groups[g]")]
        );
        assert_eq!(lost(&unlisted("g"), &issuer("")), [""; 0]);
    }

    #[test]
    fn a_restriction_can_be_moved_to_a_place_that_covers_its_calls() {
        let config = |all: &str, target: &str, group: &str, caller: &str| {
            format!(
                "{all}\n{}groups: {{g: {{{group}}}}}\ncallers: {{x: {{groups: [g]}}, y: {{{caller}}}}}\n",
                of_target(target)
            )
        };
        let own = "groups: [g], service_tiers: [flex]";
        let tiers = "service_tiers: [flex]";
        let in_target = ", service_tiers: [flex]";
        let for_all = config(tiers, "", "", "groups: [g]");
        for old in [
            config("", in_target, "", "groups: [g]"),
            config("", "", tiers, "groups: [g]"),
            config("", "", "", own),
        ] {
            assert_eq!(lost(&old, &for_all), [""; 0], "{old}");
        }
        // A caller's restriction can move to a group of the caller, but not to another group.
        assert_eq!(
            lost(
                &config("", "", "", own),
                &config("", "", tiers, "groups: [g]")
            ),
            [""; 0]
        );
        assert_eq!(
            lost(&config("", "", "", tiers), &config("", "", tiers, "")),
            ["callers.y.service_tiers"]
        );
        // If the caller is in another group with such a list, the lists of the groups are combined.
        let in_both = |own: &str, group: &str| {
            format!(
                "{}groups: {{g: {{{group}}}, h: {{service_tiers: [flex, priority]}}}}\n\
                 callers: {{y: {{groups: [g, h]{own}}}}}\n",
                of_target("")
            )
        };
        assert_eq!(
            lost(&in_both(", service_tiers: [flex]", ""), &in_both("", tiers)),
            ["callers.y.service_tiers"]
        );
        // A group's restriction can move only to all of its callers. Here, `x` does not get it.
        assert_eq!(
            lost(
                &config("", "", tiers, "groups: [g]"),
                &config("", "", "", own)
            ),
            ["groups.g.service_tiers", "callers.x.groups[g]"]
        );
        let alone = |group: &str, caller: &str| {
            format!(
                "{}groups: {{g: {{{group}}}}}\ncallers: {{y: {{{caller}}}}}\n",
                of_target("")
            )
        };
        assert_eq!(lost(&alone(tiers, "groups: [g]"), &alone("", own)), [""; 0]);
        assert_eq!(
            lost(&alone(tiers, "groups: [g]"), &alone(tiers, tiers)),
            [""; 0]
        );
        // A restriction that existed before does not replace the removed one.
        let both = config(tiers, in_target, "", "groups: [g]");
        assert_eq!(lost(&both, &for_all), ["targets.a.service_tiers"]);
        // A fence of one target does not cover the others.
        let only = |all: &str, target: &str| format!("{all}{}", of_target(target));
        assert_eq!(
            lost(&only("only: [us]\n", ""), &only("", ", only: [us]")),
            ["only"]
        );
        assert_eq!(
            lost(&only("", ", only: [us]"), &only("only: [us]\n", "")),
            [""; 0]
        );
    }

    #[test]
    fn a_key_has_one_meaning() {
        let text = format!(
            "{}request_metadata: {{set: {{a.b: c}}}}\naccess: {{on_revoke: cut, jwt: [{{issuer: 'https://a/b.c', \
             audiences: [b], caller_prefix: p, unlisted: {{groups: [limits.g]}}}}]}}\n\
             accounts: {{a-b: {{role_arn: 'arn:aws:iam::123456789012:role/x', session_per_caller: true, session_tags: {{t.u: v}}}}}}\n\
             groups: {{limits.g: {{service_tiers: [flex], limits: {{max_tokens: 1, open_streams: 2, requests_per_minute: 1, \
             tokens_per_minute: 3, input_tokens_per_minute: 1, output_tokens_per_minute: 1}}}}}}\n\
             callers: {{c.groups: {{groups: [limits.g], methods: [Invoke], targets: [a], session_tags: {{t.u: v}}, \
             role_arn: 'arn:aws:iam::123456789012:role/x', {ENFORCED}, request_metadata: {{methods: x}}}}}}\n",
            of_target(", only: [us], request_metadata: {d: e}")
        );
        let config = config(&text);
        let keys = protected(&config);
        assert!(keys.len() > 20, "{keys:?}");
        for key in keys {
            assert_eq!(ProtectedKey::parse(&key.to_string()), key);
        }
    }
}
