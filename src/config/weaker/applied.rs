//! Compares the values that apply to calls before and after a change. Levels override and narrow
//! each other, so the removal of a value can change nothing, and a value that was moved can have no
//! effect.

use std::collections::BTreeMap;

use super::{
    key::{Place, ProtectedKey},
    protection::{GUARDRAIL, METADATA, ONLY, PROJECT, PROJECTS, S3_LOCATIONS},
};
use crate::{
    aws::pattern,
    config::{Access, Config, DEFAULT_METHODS, Permission, RequestPolicy},
};

/// The old and the new configuration.
pub(super) struct Applied<'a> {
    old: &'a Config,
    new: &'a Config,
    /// The values for all targets and those of each target, before and after the change. Equal
    /// pairs are listed once. A target that is added had the values for all targets before.
    targets: Vec<(OfTarget, OfTarget)>,
}

/// The values that apply to all calls of a target.
#[derive(PartialEq)]
struct OfTarget {
    policy: RequestPolicy,
    request_metadata: BTreeMap<String, String>,
}

/// The values that apply to the calls of a caller, whatever their target is.
#[derive(Default)]
struct OfCaller<'a> {
    policy: RequestPolicy,
    methods: Vec<Vec<&'static str>>,
    targets: Vec<Vec<&'a str>>,
    model_ids: Vec<Vec<&'a str>>,
    request_metadata: BTreeMap<&'a str, &'a str>,
}

impl<'a> Applied<'a> {
    pub(super) fn new(old: &'a Config, new: &'a Config) -> Self {
        let mut targets = Vec::new();
        let mut add = |pair| {
            if !targets.contains(&pair) {
                targets.push(pair);
            }
        };
        // The values for all targets apply to requests that name model IDs, and to targets that are
        // added later.
        add((OfTarget::new(old, ""), OfTarget::new(new, "")));
        for name in new.targets.aliases.keys() {
            add((OfTarget::new(old, name), OfTarget::new(new, name)));
        }
        Self { old, new, targets }
    }

    /// Returns whether a weaker or another value applies to any call because a key was removed.
    /// `None` if the values of this key cannot be compared, because each of them applies on its
    /// own, as limits do, or because it is a value of all targets.
    pub(super) fn is_weaker(&self, key: &ProtectedKey) -> Option<bool> {
        let setting = key.setting.as_str();
        match &key.place {
            Place::Target(name) if setting == ONLY => Some(self.has_weaker_fence(name)),
            _ if !is_comparable(setting) => None,
            Place::Target(name) => {
                let (old, new) = (OfTarget::new(self.old, name), OfTarget::new(self.new, name));
                let any_caller = OfCaller::default();
                Some(is_weaker(setting, (&old, &any_caller), (&new, &any_caller)))
            }
            Place::Group(name) => {
                let mut callers = self.callers_of(name).into_iter();
                Some(callers.any(|(old, new)| self.is_weaker_for(setting, &old, &new)))
            }
            Place::Caller(name) => self.is_weaker_for_caller(setting, name),
            Place::All | Place::Account(_) | Place::Issuer(_) | Place::Cluster => None,
        }
    }

    /// Returns whether a weaker or another value applies to the calls of a configured caller.
    /// `None` if the values cannot be compared.
    pub(super) fn is_weaker_for_caller(&self, setting: &str, caller: &str) -> Option<bool> {
        if !is_comparable(setting) {
            return None;
        }
        let pairs = self.of_caller(caller);
        let is_weaker = |(old, new): &_| self.is_weaker_for(setting, old, new);
        (!pairs.is_empty()).then(|| pairs.iter().any(is_weaker))
    }

    /// Returns the values of a configured caller before and after the change: with its own groups,
    /// and with each further group that its tokens can name. Empty if there is no such caller
    /// before or after.
    fn of_caller(&self, caller: &str) -> Vec<(OfCaller<'a>, OfCaller<'a>)> {
        let (old, new) = (&self.old.access, &self.new.access);
        let mut further = vec![None];
        if self.tokens_name_groups() {
            further.extend(new.groups.keys().map(|name| Some(name.as_str())));
        }
        let pair = |further| {
            let old = OfCaller::configured(old, caller, further)?;
            Some((old, OfCaller::configured(new, caller, further)?))
        };
        further.into_iter().filter_map(pair).collect()
    }

    /// Returns whether tokens can name groups of their callers.
    fn tokens_name_groups(&self) -> bool {
        let mut issuers = self.new.access.jwt.iter();
        issuers.any(|issuer| issuer.groups_claim.is_some())
    }

    fn is_weaker_for(&self, setting: &str, old: &OfCaller<'_>, new: &OfCaller<'_>) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|(old_target, new_target)| {
            is_weaker(setting, (old_target, old), (new_target, new))
        })
    }

    /// Returns the values of the callers that were in a group before the change.
    fn callers_of(&self, group: &str) -> Vec<(OfCaller<'a>, OfCaller<'a>)> {
        let (old, new) = (&self.old.access, &self.new.access);
        let is_in = |groups: &[String]| groups.iter().any(|name| name == group);
        let mut callers = Vec::new();
        for (name, options) in &old.callers {
            if is_in(&options.groups) {
                callers.extend(self.of_caller(name));
            }
        }
        // Callers that are not configured have the groups of their issuer.
        let of_issuers = old.jwt.iter().filter_map(|issuer| {
            let mut later = new.jwt.iter();
            let later = later.find(|later| later.issuer == issuer.issuer)?;
            Some((issuer.unlisted.as_ref()?, later.unlisted.as_ref()?))
        });
        let of_cluster = old.kubernetes.iter().zip(&new.kubernetes);
        let of_cluster = of_cluster
            .filter_map(|(old, new)| Some((old.unlisted.as_ref()?, new.unlisted.as_ref()?)));
        for (before, after) in of_issuers.chain(of_cluster) {
            if is_in(&before.groups) {
                callers.push((
                    OfCaller::in_groups(old, before.groups.iter().map(String::as_str)),
                    OfCaller::in_groups(new, after.groups.iter().map(String::as_str)),
                ));
            }
        }
        // Tokens can name any groups, in any order. Another group can only override a value that
        // the removed one had, so it is enough to compare pairs.
        if self.tokens_name_groups() {
            let others = old.groups.keys().map(String::as_str);
            let pairs = others.flat_map(|other| [[group, other], [other, group]]);
            callers.extend(pairs.map(|pair| {
                (
                    OfCaller::in_groups(old, pair.into_iter()),
                    OfCaller::in_groups(new, pair.into_iter()),
                )
            }));
        }
        callers
    }

    /// Returns whether a Region that the fence of a target excluded may serve its calls now.
    fn has_weaker_fence(&self, target: &str) -> bool {
        let fences = |config: &'a Config| {
            let alias = config.targets.aliases.get(target).map(|alias| &alias.only);
            let fences = alias.into_iter().chain([&config.targets.only]);
            fences
                .filter(|fence| !fence.is_unrestricted())
                .map(|fence| fence.parts().collect())
                .collect::<Vec<Vec<_>>>()
        };
        let (old, new) = (fences(self.old), fences(self.new));
        !narrows(&new, &old, |outer, inner| outer == inner)
    }
}

impl OfTarget {
    /// Returns the values for a target, or those for all targets if there is no such target.
    fn new(config: &Config, target: &str) -> Self {
        let all = &config.targets.policy;
        let mut request_metadata = config.request_metadata.set.clone();
        let alias = config.targets.aliases.get(target);
        if let Some(alias) = alias {
            request_metadata.extend(alias.request_metadata.clone());
        }
        Self {
            policy: alias.map_or_else(|| all.clone(), |alias| all.and(&alias.policy)),
            request_metadata,
        }
    }
}

impl<'a> OfCaller<'a> {
    /// Returns the values of a configured caller, its groups and a further group. `None` if there
    /// is no such caller.
    fn configured(access: &'a Access, caller: &str, further: Option<&str>) -> Option<Self> {
        let options = access.callers.get(caller)?;
        let groups = options.groups.iter().map(String::as_str).chain(further);
        Some(Self::of(access, Some(&options.permission), groups))
    }

    /// Returns the values of a caller that is not configured.
    fn in_groups<'g>(access: &'a Access, groups: impl Iterator<Item = &'g str>) -> Self {
        Self::of(access, None, groups)
    }

    fn of<'g>(
        access: &'a Access,
        own: Option<&'a Permission>,
        groups: impl Iterator<Item = &'g str>,
    ) -> Self {
        let groups: Vec<&Permission> = groups
            .filter_map(|name| Some(&access.groups.get(name)?.permission))
            .filter(|group| group.is_set())
            .collect();
        let mut values = Self::default();
        let of_groups = groups.iter().map(|group| group.policy.clone());
        values.policy = of_groups
            .reduce(|one, other| one.or(&other))
            .unwrap_or_default();
        if let Some(own) = own {
            values.policy = values.policy.and(&own.policy);
        }
        values.methods = levels(&groups, own, |it| it.methods.as_deref(), |method| *method);
        values.targets = levels(&groups, own, |it| it.targets.as_deref(), String::as_str);
        values.model_ids = levels(&groups, own, Permission::model_ids, String::as_str);
        for level in groups.into_iter().rev().chain(own) {
            let pairs = level.request_metadata.iter();
            values
                .request_metadata
                .extend(pairs.map(|(key, value)| (key.as_str(), value.as_str())));
        }
        values
    }
}

/// Returns the lists of the levels that have one: the combined list of the groups, and the caller's
/// own list.
fn levels<'a, T: 'a, U>(
    groups: &[&'a Permission],
    own: Option<&'a Permission>,
    list: impl Fn(&'a Permission) -> Option<&'a [T]>,
    item: impl Fn(&'a T) -> U,
) -> Vec<Vec<U>> {
    let of_groups: Vec<_> = groups.iter().filter_map(|group| list(group)).collect();
    let has_list = !of_groups.is_empty();
    let of_groups = has_list.then(|| of_groups.into_iter().flatten().map(&item).collect());
    let own = own
        .and_then(&list)
        .map(|list| list.iter().map(&item).collect());
    of_groups.into_iter().chain(own).collect()
}

/// Returns whether values of several levels result in one value for a call.
fn is_comparable(setting: &str) -> bool {
    const SETTINGS: [&str; 9] = [
        GUARDRAIL,
        PROJECT,
        PROJECTS,
        S3_LOCATIONS,
        "limits.max_tokens",
        "service_tiers",
        "methods",
        "targets",
        "allowed_model_ids",
    ];
    SETTINGS.contains(&setting) || fixed_pair(setting).is_some()
}

/// Returns the key of a fixed pair of request metadata.
fn fixed_pair(setting: &str) -> Option<&str> {
    setting.strip_prefix(METADATA)?.strip_suffix(']')
}

/// Returns whether the new values of a call are weaker than the old ones. A value that only one
/// level can give, such as a project, must not change at all.
fn is_weaker(
    setting: &str,
    old: (&OfTarget, &OfCaller<'_>),
    new: (&OfTarget, &OfCaller<'_>),
) -> bool {
    let policy = |(target, caller): (&OfTarget, &OfCaller<'_>)| target.policy.and(&caller.policy);
    let is_kept = match setting {
        "methods" => {
            let methods = |caller: &OfCaller<'_>| match caller.methods.as_slice() {
                [] => vec![DEFAULT_METHODS.to_vec()],
                levels => levels.to_vec(),
            };
            narrows(&methods(new.1), &methods(old.1), |outer, inner| {
                outer == inner
            })
        }
        "targets" => narrows(&new.1.targets, &old.1.targets, |outer, inner| {
            pattern::matches(outer, inner)
        }),
        "allowed_model_ids" => narrows(&new.1.model_ids, &old.1.model_ids, |outer, inner| {
            pattern::matches(outer, inner)
        }),
        GUARDRAIL => {
            let (old, new) = (policy(old), policy(new));
            old.enforced_guardrail().is_none_or(|old| {
                let new = new.enforced_guardrail();
                new.is_some_and(|new| {
                    (&new.identifier, &new.version) == (&old.identifier, &old.version)
                })
            })
        }
        PROJECT => {
            let old = policy(old).project;
            old.is_none() || old == policy(new).project
        }
        PROJECTS => within(&policy(new).projects, &policy(old).projects, |new, old| {
            new.is_within(old)
        }),
        S3_LOCATIONS => within(
            &policy(new).s3_locations,
            &policy(old).s3_locations,
            |new, old| new.is_within(old),
        ),
        "limits.max_tokens" => policy(old)
            .max_tokens
            .is_none_or(|old| policy(new).max_tokens.is_some_and(|new| new <= old)),
        "service_tiers" => policy(old).service_tiers.is_none_or(|old| {
            let new = policy(new).service_tiers;
            new.is_some_and(|new| new.iter().all(|tier| old.contains(tier)))
        }),
        _ => {
            let pair = fixed_pair(setting).unwrap_or_default();
            let value = |(target, caller): (&OfTarget, &OfCaller<'_>)| {
                let own = caller.request_metadata.get(pair).map(|&own| own.to_owned());
                own.or_else(|| target.request_metadata.get(pair).cloned())
            };
            let old = value(old);
            old.is_none() || old == value(new)
        }
    };
    !is_kept
}

/// Returns whether what the new lists allow was allowed before. Without a list, a call may name
/// nothing.
fn within<T>(new: &Option<T>, old: &Option<T>, is_within: impl Fn(&T, &T) -> bool) -> bool {
    match (new, old) {
        (None, _) | (_, None) => true,
        (Some(new), Some(old)) => is_within(new, old),
    }
}

/// Returns whether each of the old lists contains a whole new list. What is allowed must be in all
/// lists of a configuration, so nothing is allowed that was not allowed before.
fn narrows<T>(new: &[Vec<T>], old: &[Vec<T>], covers: impl Fn(&T, &T) -> bool) -> bool {
    let is_within = |new: &Vec<T>, old: &Vec<T>| {
        let mut items = new.iter();
        items.all(|inner| old.iter().any(|outer| covers(outer, inner)))
    };
    let mut old = old.iter();
    old.all(|old| new.iter().any(|new| is_within(new, old)))
}
