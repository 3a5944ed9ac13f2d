//! The configured callers and their keys. Immutable: another config is another snapshot.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::SystemTime,
};

use super::{
    caller::{Caller, Identity},
    key,
    limits::{Names, ScopeKind},
    rejection::Rejection,
    verifier::Claimed,
};
use crate::config::{Access, ApiKey, KeysByCaller};

/// The configured callers and their keys.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// By the SHA-256 of the key: comparing hashes tells nothing about keys by its timing.
    keys: HashMap<[u8; 32], (Identity, Option<SystemTime>)>,
    callers: HashMap<Arc<str>, Identity>,
}

impl Snapshot {
    /// What a config and its keys file say together. `names` are those of the process, by which
    /// counts are kept.
    ///
    /// # Errors
    /// A key that two callers have, or keys of a caller that is not configured.
    pub fn new(access: &Access, file: &KeysByCaller, names: &Names) -> Result<Self, String> {
        let mut snapshot = Self::default();
        for (name, options) in &access.callers {
            let own = names.scope(ScopeKind::Caller, name, &options.quota);
            let groups = options.groups.iter().filter_map(|group| {
                names.scope(ScopeKind::Group, group, &access.groups.get(group)?.quota)
            });
            let scopes: Vec<_> = own.into_iter().chain(groups).collect();
            let name: Arc<str> = name.as_str().into();
            let identity = Identity::new(Arc::new(Caller {
                name: Arc::clone(&name),
                groups: options
                    .groups
                    .iter()
                    .map(|group| group.as_str().into())
                    .collect(),
                scopes: (!scopes.is_empty()).then(|| scopes.into()),
            }));
            snapshot.add_keys(&identity, &options.keys)?;
            snapshot.callers.insert(name, identity);
        }
        for (name, keys) in file {
            let identity = snapshot.callers.get(name.as_str()).cloned().ok_or_else(|| {
                format!(
                    "access.keys_file holds keys of `{name}`, which is not among `callers`; add it there, or remove its keys"
                )
            })?;
            snapshot.add_keys(&identity, keys)?;
        }
        Ok(snapshot)
    }

    fn add_keys(&mut self, identity: &Identity, keys: &[ApiKey]) -> Result<(), String> {
        for key in keys {
            match self.keys.entry(key.sha256) {
                Entry::Vacant(entry) => {
                    entry.insert((identity.clone(), key.not_after));
                }
                Entry::Occupied(entry) => {
                    return Err(format!(
                        "the key {} is listed twice, for `{}` and for `{}`; make another one with `bedrock-grpc keys new`",
                        key.id(),
                        entry.get().0.name(),
                        identity.name(),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whose key this is.
    ///
    /// # Errors
    /// It is no whole key, not known, or expired.
    pub(super) fn by_key(&self, text: &str, now: SystemTime) -> Result<Identity, Rejection> {
        if !key::is_whole(text) {
            return Err(Rejection::Malformed);
        }
        match self.keys.get(&key::sha256(text)) {
            None => Err(Rejection::Unknown),
            Some((_, Some(not_after))) if now >= *not_after => Err(Rejection::Expired),
            Some((identity, _)) => Ok(identity.clone()),
        }
    }

    /// The caller that a verified credential names.
    ///
    /// # Errors
    /// There is no such caller.
    pub(super) fn by_claim(&self, claimed: &Claimed) -> Result<Identity, Rejection> {
        self.callers
            .get(&claimed.name)
            .cloned()
            .ok_or(Rejection::Unknown)
    }
}
