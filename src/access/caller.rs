//! A caller, with the settings that apply to it.

use std::{fmt, sync::Arc};

use super::{claimed_caller::ClaimKind, limits::Scope, permission::Permission};
use crate::config::CallerSession;

/// The label in metrics for all callers that `callers` does not list.
const UNLISTED: &str = "unlisted";

/// A caller, with its settings from the configuration, merged with those of its groups.
#[derive(Debug)]
pub struct Caller {
    /// The caller's name, from the configuration or from a trusted issuer.
    pub name: Arc<str>,
    /// Whether `callers` lists the caller. If not, metrics do not use the name as a label, because
    /// the number of such names is unlimited.
    pub is_listed: bool,
    /// The configured groups that the caller belongs to.
    pub groups: Vec<Arc<str>>,
    /// The role and the session tags with which the gateway signs the caller's calls to AWS.
    pub session: Arc<CallerSession>,
    /// What the caller may do. `None` if it may do everything that the gateway allows.
    pub permission: Option<Arc<Permission>>,
    /// The limits of the caller and its groups. `None` if there are none.
    pub scopes: Option<Arc<[Arc<Scope>]>>,
}

/// The kind of credential by which a caller was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// An API key.
    ApiKey,
    /// A token of an issuer.
    Token,
    /// A token of a Kubernetes service account.
    ServiceAccount,
    /// A client certificate.
    Certificate,
}

impl From<ClaimKind> for CredentialKind {
    fn from(kind: ClaimKind) -> Self {
        match kind {
            ClaimKind::Token => Self::Token,
            ClaimKind::ServiceAccount => Self::ServiceAccount,
            ClaimKind::Certificate => Self::Certificate,
        }
    }
}

/// The identity of a caller. Cheap to clone. A call keeps it, with the settings that applied when
/// the call began.
#[derive(Clone)]
pub struct Identity {
    caller: Arc<Caller>,
    credential: CredentialKind,
}

impl Identity {
    /// Creates the identity of a caller that was identified by an API key.
    pub(super) fn new(caller: Arc<Caller>) -> Self {
        Self {
            caller,
            credential: CredentialKind::ApiKey,
        }
    }

    /// Returns the same identity with another kind of credential.
    pub(super) fn by(self, credential: CredentialKind) -> Self {
        Self { credential, ..self }
    }

    /// Returns the kind of credential by which the caller was identified.
    pub fn credential(&self) -> CredentialKind {
        self.credential
    }

    /// Returns the caller's name. Calls with the same name belong to the same caller, even if their
    /// credentials differ.
    pub fn name(&self) -> &Arc<str> {
        &self.caller.name
    }

    /// Returns the label of the caller in metrics: its name, or one label for all callers that are
    /// not listed.
    pub fn label(&self) -> &str {
        if self.caller.is_listed {
            &self.caller.name
        } else {
            UNLISTED
        }
    }

    /// Returns what the caller may do. `None` if it may do everything that the gateway allows.
    pub fn permission(&self) -> Option<&Arc<Permission>> {
        self.caller.permission.as_ref()
    }

    /// Returns the operator's settings for the caller.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.caller.name).finish()
    }
}
