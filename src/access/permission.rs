//! What a caller may do: the caller's settings, merged with those of its groups.

use std::collections::BTreeMap;

use crate::{
    aws::pattern,
    config::{self, Defaults, RequestPolicy},
};

/// What a caller may do. By default, this is everything that the gateway allows.
///
/// The lists of a caller's groups add to each other. The caller's own list then narrows the result.
/// A level that does not have a list does not restrict anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permission {
    methods: Option<Vec<&'static str>>,
    /// Which aliases the caller may use.
    pub targets: AllowList,
    /// Which model IDs and ARNs the caller may name, out of those that the gateway allows.
    pub model_ids: AllowList,
    /// What is enforced on the caller's requests, in addition to what is enforced for the target.
    pub policy: RequestPolicy,
    /// Pairs that the gateway adds to the caller's requests.
    pub request_metadata: BTreeMap<String, String>,
    /// Values for requests that leave them out.
    pub defaults: Defaults,
}

/// Patterns by level. A name is admitted if each level has a pattern that matches it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Vec<String>>);

impl AllowList {
    /// Returns whether a name is admitted.
    pub fn admits(&self, name: &str) -> bool {
        let matches = |level: &Vec<String>| level.iter().any(|it| pattern::matches(it, name));
        self.0.iter().all(matches)
    }

    /// Returns whether no level restricts anything.
    pub fn is_unrestricted(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the patterns to show to people, selected from these patterns of the gateway. A name
    /// that matches none of them is not admitted.
    pub fn within(&self, gateway: &[String]) -> Vec<String> {
        self.0.iter().fold(gateway.to_vec(), |outer, inner| {
            let mut all = Vec::new();
            for inner in inner {
                for outer in &outer {
                    let narrower = if pattern::matches(inner, outer) {
                        outer
                    } else {
                        // If neither covers the other, they may still have names in common.
                        inner
                    };
                    if !all.contains(narrower) {
                        all.push(narrower.clone());
                    }
                }
            }
            all
        })
    }
}

impl Permission {
    /// Merges the settings of a caller with those of its groups, which are in the order of the
    /// configuration. `None` if nothing is set.
    pub fn of<'a>(
        own: Option<&'a config::Permission>,
        groups: impl Iterator<Item = &'a config::Permission>,
    ) -> Option<Self> {
        let groups: Vec<_> = groups.filter(|group| group.is_set()).collect();
        let own = own.filter(|own| own.is_set());
        if own.is_none() && groups.is_empty() {
            return None;
        }
        let nothing = config::Permission::default();
        let own = own.unwrap_or(&nothing);
        let methods = levels(own, &groups, |it| it.methods.as_deref())
            .into_iter()
            .reduce(|outer, inner| {
                let both = inner.into_iter().filter(|method| outer.contains(method));
                both.collect()
            });
        let policy = groups
            .iter()
            .map(|group| group.policy.clone())
            .reduce(|one, other| one.or(&other))
            .unwrap_or_default();
        let defaults = std::iter::once(&own)
            .chain(&groups)
            .fold(Defaults::default(), |inner, outer| {
                inner.over(&outer.defaults)
            });
        // The last value takes precedence: that of the caller, or else that of the group that is
        // listed first.
        let mut request_metadata = BTreeMap::new();
        for level in groups.iter().rev().chain([&own]) {
            request_metadata.extend(level.request_metadata.clone());
        }
        Some(Self {
            methods,
            targets: AllowList(levels(own, &groups, |it| it.targets.as_deref())),
            model_ids: AllowList(levels(own, &groups, |it| it.model_ids())),
            policy: policy.and(&own.policy),
            request_metadata,
            defaults,
        })
    }

    /// Returns whether the caller may use a method.
    pub fn admits_method(&self, method: &str) -> bool {
        self.methods().contains(&method)
    }

    /// Returns the methods that the caller may use.
    pub fn methods(&self) -> &[&'static str] {
        self.methods.as_deref().unwrap_or(&config::DEFAULT_METHODS)
    }

    /// Returns whether the caller may use every target that the gateway allows.
    pub fn admits_all_targets(&self) -> bool {
        self.targets.is_unrestricted() && self.model_ids.is_unrestricted()
    }
}

/// Returns the lists of the two levels, without those that are absent: all lists of the groups
/// together, and the caller's own one.
fn levels<'a, T: Clone + 'a>(
    own: &'a config::Permission,
    groups: &[&'a config::Permission],
    list: impl Fn(&'a config::Permission) -> Option<&'a [T]>,
) -> Vec<Vec<T>> {
    let of_groups: Vec<_> = groups.iter().filter_map(|group| list(group)).collect();
    let of_groups = (!of_groups.is_empty()).then(|| of_groups.concat());
    let own = list(own).map(<[T]>::to_vec);
    of_groups.into_iter().chain(own).collect()
}
