//! The configured callers and their keys. A snapshot is immutable; a reload creates a new one.

use std::{
    cmp::Reverse,
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::{
    caller::{Caller, Identity},
    claimed_caller::{ClaimKind, ClaimedCaller, SERVICE_ACCOUNT},
    key,
    limits::{Names, ScopeKind},
    permission::Permission,
    rejection::Rejection,
};
use crate::config::{Access, ApiKey, CallerOptions, KeysByCaller};

/// The maximum number of callers in the cache of callers that their credentials describe. If there
/// are more, the cache is cleared.
const MOST_DESCRIBED: usize = 4_096;
/// The maximum length of the name of a caller that is not configured.
const MAX_NAME: usize = 256;

/// The configured callers and their keys.
#[derive(Debug, Default)]
pub struct Snapshot {
    access: Access,
    names: Arc<Names>,
    /// Finds callers by the SHA-256 of their keys. The time for comparing hashes reveals nothing
    /// about the keys.
    keys: HashMap<[u8; 32], (Identity, Option<SystemTime>)>,
    callers: HashMap<Arc<str>, Identity>,
    /// Finds callers by `namespace/name` or `namespace/*` of a service account.
    service_accounts: HashMap<Arc<str>, Identity>,
    /// Finds callers by the URI or DNS name of a certificate.
    certificates: HashMap<Arc<str>, Identity>,
    /// Finds callers by a prefix of a certificate's URI. The longest prefix comes first.
    certificate_prefixes: Vec<(Arc<str>, Identity)>,
    /// A cache of callers that are not configured, or for which a credential names additional
    /// groups.
    described: Mutex<HashMap<ClaimedCaller, Identity>>,
}

impl Snapshot {
    /// Creates the snapshot of a configuration and its keys file. `names` numbers the scopes of the
    /// process, so that a new snapshot continues the same counts.
    ///
    /// # Errors
    /// Fails if two callers have the same key, or if the keys file contains keys of a caller that
    /// is not configured.
    pub fn new(access: &Access, file: &KeysByCaller, names: &Arc<Names>) -> Result<Self, String> {
        let mut snapshot = Self {
            access: access.clone(),
            names: Arc::clone(names),
            ..Self::default()
        };
        for (name, options) in &access.callers {
            let name: Arc<str> = name.as_str().into();
            let groups = options.groups.iter().map(|group| group.as_str().into());
            let identity = snapshot.identity(&name, Some(options), groups.collect());
            snapshot.add_keys(&identity, &options.keys)?;
            for account in &options.service_accounts {
                let accounts = &mut snapshot.service_accounts;
                accounts.insert(account.as_str().into(), identity.clone());
            }
            for certificate in &options.certificates {
                if let Some(prefix) = certificate.strip_suffix('*') {
                    let prefixes = &mut snapshot.certificate_prefixes;
                    prefixes.push((prefix.into(), identity.clone()));
                } else {
                    let certificates = &mut snapshot.certificates;
                    certificates.insert(certificate.as_str().into(), identity.clone());
                }
            }
            snapshot.callers.insert(name, identity);
        }
        let prefixes = &mut snapshot.certificate_prefixes;
        prefixes.sort_by_key(|(prefix, _)| Reverse(prefix.len()));
        for (name, keys) in file {
            let identity = snapshot.callers.get(name.as_str()).cloned().ok_or_else(|| {
                format!(
                    "access.keys_file contains keys of `{name}`, which is not in `callers`; add the caller there, or remove its keys"
                )
            })?;
            snapshot.add_keys(&identity, keys)?;
        }
        Ok(snapshot)
    }

    /// Returns a caller with these groups. `options` are the caller's settings, if it is
    /// configured.
    fn identity(
        &self,
        name: &Arc<str>,
        options: Option<&CallerOptions>,
        groups: Vec<Arc<str>>,
    ) -> Identity {
        let names = &self.names;
        let own = options.and_then(|own| names.scope(ScopeKind::Caller, name, &own.quota));
        let of_groups = groups.iter().filter_map(|group| {
            let options = self.access.groups.get(&**group)?;
            names.scope(ScopeKind::Group, group, &options.quota)
        });
        let scopes: Vec<_> = own.into_iter().chain(of_groups).collect();
        let permission = Permission::of(
            options.map(|own| &own.permission),
            groups
                .iter()
                .filter_map(|group| Some(&self.access.groups.get(&**group)?.permission)),
        );
        Identity::new(Arc::new(Caller {
            name: Arc::clone(name),
            is_listed: options.is_some(),
            permission: permission.map(Arc::new),
            groups,
            session: options
                .map(|own| Arc::new(own.session.clone()))
                .unwrap_or_default(),
            scopes: (!scopes.is_empty()).then(|| scopes.into()),
        }))
    }

    fn add_keys(&mut self, identity: &Identity, keys: &[ApiKey]) -> Result<(), String> {
        for key in keys {
            match self.keys.entry(key.sha256) {
                Entry::Vacant(entry) => {
                    entry.insert((identity.clone(), key.not_after));
                }
                Entry::Occupied(entry) => {
                    return Err(format!(
                        "the key {} is listed twice, for `{}` and for `{}`; create another one with `bedrock-grpc keys new`",
                        key.id(),
                        entry.get().0.name(),
                        identity.name(),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Returns the caller that this key identifies.
    ///
    /// # Errors
    /// Fails if the key is incomplete, unknown or expired.
    pub(super) fn by_key(&self, text: &str, now: SystemTime) -> Result<Identity, Rejection> {
        if !key::is_whole(text) {
            return Err(Rejection::Malformed);
        }
        self.by_hash(&key::sha256(text), now)
    }

    /// Returns the caller that the key with this SHA-256 identifies.
    ///
    /// # Errors
    /// Fails if the key is unknown or expired.
    pub(super) fn by_hash(
        &self,
        sha256: &[u8; 32],
        now: SystemTime,
    ) -> Result<Identity, Rejection> {
        match self.keys.get(sha256) {
            None => Err(Rejection::Unknown),
            Some((_, Some(not_after))) if now >= *not_after => Err(Rejection::Expired),
            Some((identity, _)) => Ok(identity.clone()),
        }
    }

    /// Returns the caller that a verified credential identifies.
    ///
    /// # Errors
    /// Fails if the configuration does not accept the caller.
    pub(super) fn by_claim(&self, claimed: &ClaimedCaller) -> Result<Identity, Rejection> {
        let listed = self.listed(claimed);
        let is_member =
            |group: &&Arc<str>| listed.is_some_and(|caller| caller.caller().groups.contains(group));
        let is_group = |group: &&Arc<str>| self.access.groups.contains_key(&***group);
        let mut further = claimed.groups.iter().filter(is_group);
        match listed {
            Some(listed) if further.all(|group| is_member(&group)) => Ok(listed.clone()),
            None if claimed.unlisted.is_none() || !is_name(&claimed.name) => {
                Err(Rejection::Unlisted)
            }
            listed => self.described(claimed, listed),
        }
    }

    /// Returns whether this configuration still accepts credentials of the same issuer, cluster or
    /// kind, and the same audience, and reads the caller's name from the same claim. If it does not
    /// list the caller, the issuer or cluster must have `unlisted`.
    pub(super) fn expects(&self, claimed: &ClaimedCaller) -> bool {
        let accepted = match claimed.kind {
            ClaimKind::Token => {
                let mut issuers = self.access.jwt.iter();
                let of_token = claimed.issuer.as_deref();
                let issuer = issuers.find(|issuer| Some(issuer.issuer.as_str()) == of_token);
                let issuer = issuer.filter(|issuer| {
                    claimed.claim.as_ref().is_none_or(|(claim, prefix)| {
                        **claim == *issuer.caller_claim && **prefix == *issuer.caller_prefix
                    })
                });
                issuer.map(|issuer| (issuer.audiences.as_slice(), &issuer.unlisted))
            }
            ClaimKind::ServiceAccount => {
                let cluster = self.access.kubernetes.as_ref();
                cluster.map(|cluster| (std::slice::from_ref(&cluster.audience), &cluster.unlisted))
            }
            ClaimKind::Certificate => return self.access.has_client_ca,
        };
        accepted.is_some_and(|(audiences, unlisted)| {
            let is_audience = |own: &Arc<str>| audiences.iter().any(|known| **known == **own);
            claimed.audiences.iter().any(is_audience)
                && (unlisted.is_some() || self.listed(claimed).is_some())
        })
    }

    /// Returns the configured caller that a credential names.
    fn listed(&self, claimed: &ClaimedCaller) -> Option<&Identity> {
        match claimed.kind {
            // A name that begins like that of a service account is valid only in tokens of the
            // cluster.
            ClaimKind::Token if claimed.name.starts_with(SERVICE_ACCOUNT) => None,
            ClaimKind::Token => self.callers.get(&claimed.name),
            ClaimKind::ServiceAccount => {
                let (namespace, name) = claimed
                    .name
                    .strip_prefix(SERVICE_ACCOUNT)?
                    .split_once(':')?;
                self.service_accounts
                    .get(format!("{namespace}/{name}").as_str())
                    .or_else(|| self.callers.get(&claimed.name))
                    .or_else(|| self.service_accounts.get(format!("{namespace}/*").as_str()))
            }
            ClaimKind::Certificate => {
                let names = || std::iter::once(&claimed.name).chain(&claimed.other_names);
                let by_name = names().find_map(|name| self.certificates.get(name));
                by_name.or_else(|| {
                    let mut prefixes = self.certificate_prefixes.iter();
                    let found = prefixes
                        .find(|(prefix, _)| names().any(|name| name.starts_with(&**prefix)));
                    found.map(|(_, identity)| identity)
                })
            }
        }
    }

    /// Returns a caller that is not configured, or for which a credential names additional groups.
    fn described(
        &self,
        claimed: &ClaimedCaller,
        listed: Option<&Identity>,
    ) -> Result<Identity, Rejection> {
        if claimed.kind == ClaimKind::Token && claimed.name.starts_with(SERVICE_ACCOUNT) {
            return Err(Rejection::Unlisted);
        }
        let mut described = self
            .described
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(identity) = described.get(claimed) {
            return Ok(identity.clone());
        }
        let configured = match listed {
            Some(listed) => listed.caller().groups.as_slice(),
            None => claimed.unlisted.as_deref().unwrap_or_default(),
        };
        let mut groups = configured.to_vec();
        for group in &claimed.groups {
            if self.access.groups.contains_key(&**group) && !groups.contains(group) {
                groups.push(Arc::clone(group));
            }
        }
        // The operator has configured nothing for this caller, neither by its name nor by a group.
        if groups.is_empty() {
            return Err(Rejection::Unlisted);
        }
        let name = listed.map_or(&claimed.name, Identity::name);
        let options = listed.and_then(|listed| self.access.callers.get(&**listed.name()));
        let identity = self.identity(name, options, groups);
        if described.len() >= MOST_DESCRIBED {
            described.clear();
        }
        described.insert(claimed.clone(), identity.clone());
        Ok(identity)
    }
}

/// Returns whether a text is a valid name for a caller that is not configured. Names are part of
/// logs and of keys in the limits store.
fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
