//! The caller that a credential names, before the gateway looks it up in the configuration.

use std::sync::Arc;

/// The prefix of the names of Kubernetes service accounts. The namespace and the name follow.
pub(super) const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// The kind of credential that contains a name. A name identifies a caller only together with its
/// kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimKind {
    /// The name of a caller in a token of an issuer.
    Token,
    /// A Kubernetes service account.
    ServiceAccount,
    /// A name in a client certificate.
    Certificate,
}

/// The caller that a credential names, before the gateway looks it up in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimedCaller {
    /// The name.
    pub name: Arc<str>,
    /// Other names of the same caller. The first name that is configured is used.
    pub other_names: Vec<Arc<str>>,
    /// The kind of the names.
    pub kind: ClaimKind,
    /// The issuer of the token. `None` for other credentials, and for issuers that are not
    /// configured by name.
    pub issuer: Option<Arc<str>>,
    /// The claim from which the name was read, and the text before its value. `None` for other
    /// credentials than tokens of configured issuers.
    pub claim: Option<(Arc<str>, Arc<str>)>,
    /// The audiences of the token. Empty for certificates.
    pub audiences: Vec<Arc<str>>,
    /// The names of the caller's groups. Groups that are not configured are ignored.
    pub groups: Vec<Arc<str>>,
    /// The groups that the caller has if it is not configured. `None` if it must be configured.
    pub unlisted: Option<Arc<[Arc<str>]>>,
}
