//! The trait of what checks credentials that carry the caller's name themselves: tokens,
//! certificates.

use std::{fmt, pin::Pin, sync::Arc, time::SystemTime};

use super::{claimed::Claimed, credential::Credential, rejection::Rejection};

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
