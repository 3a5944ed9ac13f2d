//! Refuses a reload that would remove protection, for example because the file is only
//! half-written: such a file can be valid YAML, and a valid configuration without callers.
//!
//! | file | job |
//! |---|---|
//! | `protection` | lists the settings that protect the gateway |
//! | `key` | the keys of these settings |
//! | `change` | compares the keys of two configurations |
//! | `applied` | compares the values that apply to calls |
//! | `loss` | describes what a configuration without a setting lacks |
//! | `credential` | finds out whether credentials of a removed caller would still be accepted |

mod applied;
mod change;
mod credential;
mod key;
mod loss;
mod protection;

use self::{
    applied::Applied,
    change::Change,
    key::ProtectedKey,
    protection::{CLIENT_AUTH, CLIENT_CA, KEYS_FILE, UsedGroups, protected},
};
use super::{Config, KeysByCaller};

/// Returns the keys of the settings that protect the gateway. A reload must not remove them.
pub fn protection(config: &Config) -> Vec<String> {
    let used = UsedGroups::of(&config.access);
    let keys = protected(config).into_iter();
    let keys = keys.filter(|key| key.place.group().is_none_or(|group| used.contain(group)));
    keys.map(|key| key.to_string()).collect()
}

/// Compares two configurations. Returns each key of [`protection`] whose protection would be lost,
/// and a message that says what would be missing. The result is empty if the new configuration sets
/// `allow_weaker`.
pub fn weakened(old: &Config, new: &Config) -> Vec<(String, String)> {
    lost(&protection(old), new, Some(&Applied::new(old, new)))
}

/// Compares the keys of [`protection`] with a new configuration, like [`weakened`]. The old values
/// are unknown: a removed value that another level repeats is returned as lost, and a moved value
/// that has no effect at its new place is not.
pub fn weakened_keys(old: &[String], new: &Config) -> Vec<(String, String)> {
    lost(old, new, None)
}

fn lost(old: &[String], new: &Config, applied: Option<&Applied<'_>>) -> Vec<(String, String)> {
    if new.allow_weaker {
        return Vec::new();
    }
    let change = Change::new(old.iter().map(|key| ProtectedKey::parse(key)), new, applied);
    // The result has the order of `old`, which is the order of the sections in the file.
    let keys = old.iter().map(|key| ProtectedKey::parse(key));
    let lost: Vec<_> = keys
        .filter_map(|key| Some((change.loss(&key)?, key)))
        .collect();
    // Without client CAs, certificates cannot be required either, so this is not reported
    // separately.
    let no_ca = lost.iter().any(|(_, key)| key.setting == CLIENT_CA);
    lost.into_iter()
        .filter(|(_, key)| !(no_ca && key.setting == CLIENT_AUTH))
        .map(|(loss, key)| (key.to_string(), loss::describe(&key, loss, new)))
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

#[cfg(test)]
mod tests;
