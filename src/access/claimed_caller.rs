//! The caller that a credential names, according to its issuer.

use std::sync::Arc;

/// The prefix of the names of Kubernetes service accounts. The namespace and the name follow.
pub(super) const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The kind of name in a credential. Names of different kinds are never confused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimKind {
    /// The name of a caller, as stated by an issuer of tokens.
    Token,
    /// A Kubernetes service account.
    ServiceAccount,
    /// The names of a client certificate.
    Certificate,
}

/// The caller that a credential names, according to its issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimedCaller {
    /// The name.
    pub name: Arc<str>,
    /// Other names of the same caller. The first configured one is used.
    pub other_names: Vec<Arc<str>>,
    /// The kind of the names.
    pub kind: ClaimKind,
    /// The issuer of the token, if the credential is one and its issuer is configured by name.
    pub issuer: Option<Arc<str>>,
    /// The names of groups. Those that are not configured are ignored.
    pub groups: Vec<Arc<str>>,
    /// The groups of the caller if it is not configured. `None` if the caller must be configured.
    pub unlisted: Option<Arc<[Arc<str>]>>,
}
