//! The trait of verifiers, which check credentials that contain the caller's name: tokens and
//! certificates.

use std::{fmt, pin::Pin, sync::Arc, time::SystemTime};

use super::{claimed_caller::ClaimedCaller, credential::Credential, rejection::Rejection};

/// The result of verifying a credential.
pub enum Verification {
    /// The credential is of another kind, for the next verifier.
    NotMine,
    /// The credential is valid.
    Valid(Arc<ClaimedCaller>),
    /// The credential is refused.
    Refused(Rejection),
    /// Something must be fetched first, such as the keys of the issuer. The verifier limits the
    /// time.
    Later(Pin<Box<dyn Future<Output = Result<Arc<ClaimedCaller>, Rejection>> + Send>>),
}

/// Checks credentials of one kind. It is called for each call, on the threads that serve
/// connections, so long work must be in [`Verification::Later`] or be cached.
pub trait Verifier: Send + Sync + fmt::Debug {
    /// Verifies a credential at this time.
    fn verify(&self, credential: Credential<'_>, now: SystemTime) -> Verification;
}
