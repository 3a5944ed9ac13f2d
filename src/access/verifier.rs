//! The trait of what checks credentials that carry the caller's name themselves: tokens,
//! certificates.

use std::{fmt, pin::Pin, sync::Arc, time::SystemTime};

use super::{credential::Credential, rejection::Rejection};

/// How the names of Kubernetes service accounts begin. The namespace and the name follow.
pub(super) const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// What kind of name a credential has. Names of different kinds are never confused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimKind {
    /// The name of a caller, as an issuer of tokens says it.
    Token,
    /// A Kubernetes service account.
    ServiceAccount,
}

/// Who a credential names, as its issuer says it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claimed {
    /// The name.
    pub name: Arc<str>,
    /// What kind of name it is.
    pub kind: ClaimKind,
    /// Names of groups. Those that are not configured are ignored.
    pub groups: Vec<Arc<str>>,
    /// Whether the caller need not be configured, and the groups that it then belongs to.
    pub unlisted: Option<Arc<[Arc<str>]>>,
}

/// What a verifier says of a credential.
pub enum Verdict {
    /// It is of another kind: ask the next verifier.
    NotMine,
    /// It is valid.
    Valid(Arc<Claimed>),
    /// It is refused.
    Refused(Rejection),
    /// It depends on something that has to be fetched first, such as the keys of its issuer.
    /// Bounded in time by the verifier.
    Later(Pin<Box<dyn Future<Output = Result<Arc<Claimed>, Rejection>> + Send>>),
}

/// Checks credentials of one kind. It is called for each call, on the threads that serve
/// connections: what takes long belongs into [`Verdict::Later`] or into a cache.
pub trait Verifier: Send + Sync + fmt::Debug {
    /// What is to be said of a credential at this time.
    fn verify(&self, credential: Credential<'_>, now: SystemTime) -> Verdict;
}
