//! Who a credential names, as its issuer says it.

use std::sync::Arc;

/// How the names of Kubernetes service accounts begin. The namespace and the name follow.
pub(super) const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// What kind of name a credential has. Names of different kinds are never confused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimKind {
    /// The name of a caller, as an issuer of tokens says it.
    Token,
    /// A Kubernetes service account.
    ServiceAccount,
    /// The names of a client certificate.
    Certificate,
}

/// Who a credential names, as its issuer says it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claimed {
    /// The name.
    pub name: Arc<str>,
    /// Other names of the same caller. The first one that is configured counts.
    pub other_names: Vec<Arc<str>>,
    /// What kind of name it is.
    pub kind: ClaimKind,
    /// Names of groups. Those that are not configured are ignored.
    pub groups: Vec<Arc<str>>,
    /// Whether the caller need not be configured, and the groups that it then belongs to.
    pub unlisted: Option<Arc<[Arc<str>]>>,
}
