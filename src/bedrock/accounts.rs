//! Selects the session that signs a call: the session of the account, or a separate one of the
//! caller.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use aws_config::{Region, SdkConfig};
use tokio::time::Instant;

use super::{
    credentials::Identity,
    session::{Role, Session},
    session_name,
};
use crate::{
    aws::role,
    config::{AccountOptions, CallerSession, bedrock::Endpoints},
};

/// The maximum number of sessions that are cached. It is needed because callers can have separate
/// sessions, and token issuers can name any number of callers.
const MOST_SESSIONS: usize = 1_024;

/// A caller whose calls may be signed by a separate session.
#[derive(Clone, Debug)]
pub struct SessionOwner {
    /// The caller's name.
    pub name: Arc<str>,
    /// The operator's settings for the caller's sessions.
    pub options: Arc<CallerSession>,
}

/// The accounts of a configuration. Cheap to clone; clones share the sessions.
#[derive(Clone)]
pub(super) struct Accounts(Arc<Inner>);

struct Inner {
    by_name: HashMap<String, Account>,
    /// Whether any account has a session for each caller.
    any_per_caller: bool,
    /// The sessions of all configurations of the process.
    sessions: Arc<Sessions>,
}

struct Account {
    options: AccountOptions,
    /// The session of all callers that have no separate one.
    shared: Session,
}

impl Accounts {
    /// Creates an empty set of accounts. `config` is the configuration of the gateway's own
    /// identity, which assumes the roles of accounts.
    pub(super) fn none(config: SdkConfig, own: Option<Identity>) -> Self {
        Self(Arc::new(Inner {
            by_name: HashMap::new(),
            any_per_caller: false,
            sessions: Arc::new(Sessions {
                config,
                own,
                kept: Mutex::default(),
            }),
        }))
    }

    /// Returns the accounts with these options. Sessions that have not changed keep their
    /// credentials.
    pub(super) fn with(&self, options: &BTreeMap<String, AccountOptions>) -> Self {
        let account = |options: &AccountOptions| Account {
            shared: self.0.sessions.get(options, shared_role(options)),
            options: options.clone(),
        };
        let by_name = options
            .iter()
            .map(|(name, options)| (name.clone(), account(options)))
            .collect();
        Self(Arc::new(Inner {
            by_name,
            any_per_caller: options.values().any(|account| account.session_per_caller),
            sessions: Arc::clone(&self.0.sessions),
        }))
    }

    /// Returns the caller as a session owner. `None` if the caller has no separate session in any
    /// account.
    pub(super) fn owner(
        &self,
        name: &Arc<str>,
        options: &Arc<CallerSession>,
    ) -> Option<SessionOwner> {
        let owns = self.0.any_per_caller || !options.is_default();
        owns.then(|| SessionOwner {
            name: Arc::clone(name),
            options: Arc::clone(options),
        })
    }

    /// Returns the endpoints that are configured for a source Region of this account.
    pub(super) fn endpoints(&self, account: &str, source_region: &str) -> Option<&Endpoints> {
        self.0
            .by_name
            .get(account)?
            .options
            .endpoints
            .get(source_region)
    }

    /// Returns the session that signs a call of an account. `None` if the gateway's own identity
    /// signs the call, or if there is no such account.
    pub(super) fn session(&self, account: &str, owner: Option<&SessionOwner>) -> Option<Session> {
        let Some(account) = self.0.by_name.get(account) else {
            return owner.and_then(|owner| self.session_instead_of_own(account, owner));
        };
        let Some(owner) = owner else {
            return Some(account.shared.clone());
        };
        let own_role = owner
            .options
            .role_arn
            .as_ref()
            .filter(|arn| role::account_of(arn) == role::account_of(&account.options.role_arn));
        let has_own = account.options.session_per_caller
            || own_role.is_some()
            || !owner.options.session_tags.is_empty();
        if !has_own {
            return Some(account.shared.clone());
        }
        let mut role = shared_role(&account.options);
        if let Some(arn) = own_role {
            role.arn.clone_from(arn);
        }
        name_after(&mut role, owner);
        Some(self.0.sessions.get(&account.options, role))
    }

    /// Returns the session that replaces the gateway's own identity for a caller whose role is in
    /// none of the configured accounts.
    fn session_instead_of_own(&self, account: &str, owner: &SessionOwner) -> Option<Session> {
        let arn = owner.options.role_arn.as_ref()?;
        let is_elsewhere = self
            .0
            .by_name
            .values()
            .any(|known| role::account_of(&known.options.role_arn) == role::account_of(arn));
        if !account.is_empty() || is_elsewhere {
            return None;
        }
        let mut role = Role {
            arn: arn.clone(),
            external_id: None,
            name: String::new(),
            tags: BTreeMap::new(),
            duration: None,
        };
        name_after(&mut role, owner);
        Some(self.0.sessions.in_region(None, role))
    }
}

fn shared_role(options: &AccountOptions) -> Role {
    Role {
        arn: options.role_arn.clone(),
        external_id: options.external_id.clone(),
        name: options.session_name.clone(),
        tags: options.session_tags.clone(),
        duration: options.session_duration,
    }
}

/// Names a session after its caller, and adds the caller's tags and a tag with the full name.
fn name_after(role: &mut Role, owner: &SessionOwner) {
    role.name = session_name::of(&owner.name);
    role.tags.extend(owner.options.session_tags.clone());
    let name = role::tag_value(&owner.name);
    role.tags.insert(role::CALLER_TAG.to_owned(), name);
}

/// The sessions of a process. Equal sessions exist only once.
struct Sessions {
    config: SdkConfig,
    own: Option<Identity>,
    /// The sessions, by role and by the Region of STS if the account sets one.
    kept: Mutex<HashMap<(Option<String>, Role), Kept>>,
}

struct Kept {
    session: Session,
    used: Instant,
}

impl Sessions {
    fn get(&self, account: &AccountOptions, role: Role) -> Session {
        self.in_region(account.sts_region.as_deref(), role)
    }

    fn in_region(&self, sts_region: Option<&str>, role: Role) -> Session {
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (sts_region.map(str::to_owned), role.clone());
        if let Some(known) = kept.get_mut(&key) {
            known.used = now;
            return known.session.clone();
        }
        if kept.len() >= MOST_SESSIONS {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                kept.remove(&oldest);
            }
        }
        let mut config = aws_sdk_sts::config::Builder::from(&self.config);
        if let Some(region) = sts_region {
            config = config.region(Region::new(region.to_owned()));
        }
        let sts = aws_sdk_sts::Client::from_conf(config.build());
        let session = Session::new(role, sts, self.own.clone());
        let entry = Kept {
            session: session.clone(),
            used: now,
        };
        kept.insert(key, entry);
        session
    }
}
