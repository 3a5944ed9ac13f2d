//! The trait of verifiers, which check credentials that contain the caller's name: tokens and
//! certificates.

use std::{fmt, pin::Pin, sync::Arc, time::SystemTime};

use super::{claimed::Claimed, credential::Credential, rejection::Rejection};

/// The verdict on a credential.
pub enum Verdict {
    /// The credential is of another kind, for the next verifier.
    NotMine,
    /// The credential is valid.
    Valid(Arc<Claimed>),
    /// The credential is refused.
    Refused(Rejection),
    /// Something must be fetched first, such as the keys of the issuer. The verifier limits the
    /// time.
    Later(Pin<Box<dyn Future<Output = Result<Arc<Claimed>, Rejection>> + Send>>),
}

/// Checks credentials of one kind. It is called for each call, on the threads that serve
/// connections, so long work must be in [`Verdict::Later`] or be cached.
pub trait Verifier: Send + Sync + fmt::Debug {
    /// Returns the verdict on a credential at this time.
    fn verify(&self, credential: Credential<'_>, now: SystemTime) -> Verdict;
}
