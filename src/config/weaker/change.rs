//! Compares the protected settings of two configurations.

use std::collections::BTreeSet;

use super::{
    applied::Applied,
    credential::{accepts_tokens_of, falls_to_others, is_credential},
    key::{Place, ProtectedKey},
    loss::Loss,
    protection::{
        FROM_HEADERS, GROUPS, LISTS, METADATA, PROJECTS, S3_LOCATIONS, TARGETS, UNLISTED,
        UsedGroups, expiring_key, groups_of, protected,
    },
};
use crate::config::{Config, RequestPolicy};

/// The old and the new configuration, and the protected keys of each.
pub(super) struct Change<'a> {
    old: BTreeSet<ProtectedKey>,
    kept: BTreeSet<ProtectedKey>,
    new: &'a Config,
    /// The groups of the new configuration that callers can be in.
    used: UsedGroups<'a>,
    /// Compares the values. `None` if the old values are unknown.
    applied: Option<&'a Applied<'a>>,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        old: impl Iterator<Item = ProtectedKey>,
        new: &'a Config,
        applied: Option<&'a Applied<'a>>,
    ) -> Self {
        Self {
            old: old.collect(),
            kept: protected(new).into_iter().collect(),
            new,
            used: UsedGroups::of(&new.access),
            applied,
        }
    }

    /// Returns how a key of the old configuration loses its protection, if it does.
    pub(super) fn loss(&self, key: &ProtectedKey) -> Option<Loss> {
        if self.kept.contains(key) || self.is_of_removed(key) {
            return None;
        }
        let is_lost = self.is_lost(key);
        // If the values can be compared, they decide.
        match self.is_weaker(key).unwrap_or(is_lost) {
            false => None,
            true if is_lost => Some(Loss::Missing),
            true => Some(Loss::Overridden),
        }
    }

    /// Returns whether a weaker or another value applies to any call. `None` if the values are
    /// unknown or cannot be compared.
    fn is_weaker(&self, key: &ProtectedKey) -> Option<bool> {
        let applied = self.applied?;
        let (Place::Caller(caller), Some(groups)) = (&key.place, groups_of(&key.setting)) else {
            return applied.is_weaker(key);
        };
        let groups: Vec<_> = groups.collect();
        let is_member = groups
            .iter()
            .any(|group| self.is_member(&self.kept, caller, group));
        // The groups have equal restrictions, so the settings of one of them are enough.
        let mut settings = self.settings_of(groups.first()?);
        Some(settings.any(|key| {
            let setting = key.setting.as_str();
            // Limits cannot be compared: they count the calls of all callers of a group.
            let is_weaker = applied.is_weaker_for_caller(setting, caller);
            is_weaker.unwrap_or_else(|| !is_member && !self.is_added_for(caller, setting))
        }))
    }

    /// Returns the settings that a group had before the change.
    fn settings_of(&self, group: &str) -> impl Iterator<Item = &ProtectedKey> {
        let place = Place::Group(group.to_owned());
        self.old.iter().filter(move |key| key.place == place)
    }

    /// Returns whether the new configuration lacks the settings of a key, and does not set them at
    /// another place.
    fn is_lost(&self, key: &ProtectedKey) -> bool {
        !self.is_moved(key)
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
            // Tokens may still name a group that the configuration does not contain.
            Place::Group(name) => !self.used.contain(name),
            Place::Caller(_) if expiring_key(&key.setting).is_some() => {
                let id = expiring_key(&key.setting).unwrap_or_default();
                let keys = access.callers.values().flat_map(|caller| &caller.keys);
                let mut endless = keys.filter(|key| key.not_after.is_none());
                !endless.any(|key| key.id() == id)
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
            Place::Caller(name) => match groups_of(setting) {
                // The groups have equal restrictions, so one of them is enough.
                Some(mut groups) => groups.any(|group| {
                    let mut settings = self.settings_of(group);
                    self.is_member(&self.kept, name, group)
                        || settings.all(|key| self.is_added_for(name, &key.setting))
                }),
                None => self.is_added_for(name, setting),
            },
            Place::Account(_) | Place::Issuer(_) | Place::Cluster => false,
        }
    }

    /// Returns whether a setting of a group was moved to places that cover each of its callers.
    fn is_moved_to_callers(&self, group: &str, setting: &str) -> bool {
        // If tokens can name groups, or callers that are not configured are in this group, its
        // callers are not all known.
        if self.used.by_tokens(group) {
            return false;
        }
        let callers = self.new.access.callers.iter();
        let mut members = callers
            .filter(|(_, caller)| caller.groups.iter().any(|name| name == group))
            .peekable();
        members.peek().is_some() && members.all(|(name, _)| self.is_added_for(name, setting))
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
                        || !self.is_member(&self.old, caller, name)
                })
    }

    /// Returns whether a caller is in a group with restrictions.
    fn is_member(&self, keys: &BTreeSet<ProtectedKey>, caller: &str, group: &str) -> bool {
        let place = Place::Caller(caller.to_owned());
        let from = ProtectedKey::new(&place, GROUPS);
        let mut groups = keys
            .range(from..)
            .take_while(|key| key.place == place)
            .map_while(|key| groups_of(&key.setting))
            .flatten();
        groups.any(|own| own == group)
    }

    fn is_added(&self, place: &Place, setting: &str) -> bool {
        // At the top level, this key stands for the targets themselves.
        if *place == Place::All && setting == TARGETS {
            return false;
        }
        let key = ProtectedKey::new(place, setting);
        self.kept.contains(&key) && !self.old.contains(&key)
    }
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
