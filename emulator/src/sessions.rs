//! Manages roles and their sessions, which determine the principal and the account of a request.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{catalogue::ACCOUNT, error::WireError};

/// The maximum number of sessions. Beyond it, the oldest sessions are removed.
const MOST_SESSIONS: usize = 10_000;

/// A role that can be assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The ARN of the role, such as `arn:aws:iam::111122223333:role/bedrock`. Sessions of the role
    /// call the account in the ARN.
    pub arn: String,
    /// The external ID that the role's trust policy requires.
    pub external_id: Option<String>,
}

/// The principal that signed a request.
#[derive(Clone, Debug)]
pub(crate) enum Principal {
    /// The emulator's own keys and tokens.
    Own,
    /// A session of a role.
    Session(Arc<Session>),
}

impl Principal {
    pub(crate) fn account(&self) -> &str {
        match self {
            Self::Own => ACCOUNT,
            Self::Session(session) => &session.account,
        }
    }

    pub(crate) fn arn(&self) -> String {
        match self {
            Self::Own => format!("arn:aws:iam::{ACCOUNT}:user/emulator"),
            Self::Session(session) => session.arn.clone(),
        }
    }

    pub(crate) fn is_session(&self) -> bool {
        matches!(self, Self::Session(_))
    }
}

/// A session of a role.
pub(crate) struct Session {
    pub(crate) key_id: String,
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) account: String,
    role: String,
    /// The ARN of the assumed role, which contains the name of the session.
    pub(crate) arn: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) expiry: SystemTime,
    number: u64,
}

/// Omits the secret and the token.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("arn", &self.arn)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) fn new(
        role: &str,
        account: &str,
        name: &str,
        tags: Vec<(String, String)>,
        now: SystemTime,
        lifetime: Duration,
        number: u64,
    ) -> Self {
        let random = |letters: usize| -> String {
            std::iter::repeat_with(fastrand::alphanumeric)
                .take(letters)
                .collect()
        };
        let role_name = role.rsplit('/').next().unwrap_or_default();
        let partition = role.split(':').nth(1).unwrap_or("aws");
        Self {
            key_id: format!("ASIA{}", random(16).to_ascii_uppercase()),
            secret: random(40),
            token: random(200),
            account: account.to_owned(),
            role: role.to_owned(),
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{role_name}/{name}"),
            tags,
            expiry: now + lifetime,
            number,
        }
    }
}

/// The error for a principal that may not assume the role.
#[derive(Debug)]
pub(crate) struct Refused;

/// The roles, and the sessions that have been granted.
#[derive(Debug)]
pub(crate) struct Sessions(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    /// The roles that can be assumed. If empty, any role can be assumed.
    roles: Vec<Role>,
    by_key: BTreeMap<String, Arc<Session>>,
    granted: u64,
    /// Revoked roles. Sessions with a number up to this one are denied. If the flag is true, new
    /// sessions are refused, too.
    revoked: BTreeMap<String, (u64, bool)>,
}

impl Sessions {
    pub(crate) fn new(roles: Vec<Role>) -> Self {
        Self(Mutex::new(Kept {
            roles,
            by_key: BTreeMap::new(),
            granted: 0,
            revoked: BTreeMap::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Grants a session, if the role's trust policy allows it.
    pub(crate) fn assume(
        &self,
        role: &str,
        external_id: Option<&str>,
        make: impl FnOnce(u64) -> Session,
    ) -> Result<Arc<Session>, Refused> {
        let mut kept = self.lock();
        let is_trusted = kept.roles.is_empty()
            || kept.roles.iter().any(|known| {
                known.arn == role
                    && known
                        .external_id
                        .as_deref()
                        .is_none_or(|expected| external_id == Some(expected))
            });
        if !is_trusted || matches!(kept.revoked.get(role), Some((_, true))) {
            return Err(Refused);
        }
        kept.granted += 1;
        let session = Arc::new(make(kept.granted));
        if kept.by_key.len() >= MOST_SESSIONS {
            let oldest = kept.by_key.values().min_by_key(|session| session.number);
            if let Some(id) = oldest.map(|session| session.key_id.clone()) {
                kept.by_key.remove(&id);
            }
        }
        kept.by_key
            .insert(session.key_id.clone(), Arc::clone(&session));
        Ok(session)
    }

    /// Returns the session of an access key.
    pub(crate) fn of_key(&self, access_key_id: &str) -> Option<Arc<Session>> {
        self.lock().by_key.get(access_key_id).cloned()
    }

    /// Removes all sessions.
    pub(crate) fn forget(&self) {
        self.lock().by_key.clear();
    }

    /// Denies all calls of the role's sessions, and refuses new sessions until [`Self::restore`] is
    /// called.
    pub(crate) fn revoke(&self, role: &str) {
        let mut kept = self.lock();
        let granted = kept.granted;
        kept.revoked.insert(role.to_owned(), (granted, true));
    }

    /// Allows new sessions of a role again. Sessions from before the revocation stay denied.
    pub(crate) fn restore(&self, role: &str) {
        if let Some((_, refuses)) = self.lock().revoked.get_mut(role) {
            *refuses = false;
        }
    }

    /// Checks that a principal's role has not been revoked.
    pub(crate) fn check(&self, principal: &Principal, action: &str) -> Result<(), WireError> {
        let Principal::Session(session) = principal else {
            return Ok(());
        };
        let kept = self.lock();
        match kept.revoked.get(&session.role) {
            Some((up_to, _)) if session.number <= *up_to => {
                let message = format!(
                    "User: {} is not authorized to perform: bedrock:{action} with an explicit deny in an identity-based policy",
                    session.arn
                );
                Err(WireError::bedrock(403, "AccessDeniedException", message))
            }
            _ => Ok(()),
        }
    }
}

/// Returns the account in a role's ARN. `None` if it is not the ARN of a role.
pub(crate) fn account_of(role_arn: &str) -> Option<&str> {
    let parts: Vec<_> = role_arn.splitn(6, ':').collect();
    let ["arn", _, "iam", "", account, resource] = parts[..] else {
        return None;
    };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    let name = resource.strip_prefix("role/")?;
    (is_account && !name.is_empty()).then_some(account)
}
