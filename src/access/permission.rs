//! What a caller may do: the caller's settings, merged with those of its groups.

use std::collections::BTreeMap;

use crate::{
    aws::pattern,
    config::{self, Defaults, RequestPolicy},
};

/// What a caller may do. By default, this is everything that the gateway allows.
///
/// The lists of a caller's groups are combined: what one of them allows is allowed. The caller's
/// own list then narrows the result. If a level has no list, it restricts nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permission {
    methods: Option<Vec<&'static str>>,
    /// The aliases that the caller may use.
    pub targets: AllowList,
    /// The model IDs and ARNs that the caller may use, among those that the gateway allows.
    pub model_ids: AllowList,
    /// Settings that are enforced on the caller's requests, in addition to those of the target.
    pub policy: RequestPolicy,
    /// Pairs that the gateway adds to the caller's requests.
    pub request_metadata: BTreeMap<String, String>,
    /// Values for fields that requests leave out.
    pub defaults: Defaults,
}

/// Lists of patterns, one per level. A name is allowed if each level has a pattern that matches it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Vec<String>>);

impl AllowList {
    /// Returns whether a name is allowed.
    pub fn admits(&self, name: &str) -> bool {
        let matches = |level: &Vec<String>| level.iter().any(|it| pattern::matches(it, name));
        self.0.iter().all(matches)
    }

    /// Returns whether all names are allowed, because no level has a list.
    pub fn is_unrestricted(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the patterns that are shown to people: those of the gateway, narrowed by these. A
    /// name that matches none of the returned patterns is not allowed.
    pub fn within(&self, gateway: &[String]) -> Vec<String> {
        self.0.iter().fold(gateway.to_vec(), |outer, inner| {
            let mut all = Vec::new();
            for inner in inner {
                for outer in &outer {
                    let narrower = if pattern::matches(inner, outer) {
                        outer
                    } else {
                        // Even if neither pattern covers the other, a name can match both.
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
    /// configuration. `None` if no setting is present.
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
        // The value that is added last takes precedence: that of the caller, or else that of the
        // group that is listed first.
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

/// Returns one list per level: the combined lists of the groups, and the caller's own list. A level
/// without a list is left out.
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
