//! The trait of verifiers, which check credentials that name the caller: tokens and certificates.

use std::{fmt, pin::Pin, sync::Arc, time::SystemTime};

use super::{claimed_caller::ClaimedCaller, credential::Credential, rejection::Rejection};

/// The result of verifying a credential.
pub enum Verification {
    /// The credential is of another kind, so the next verifier must check it.
    NotMine,
    /// The credential is valid and names this caller.
    Valid(Arc<ClaimedCaller>),
    /// The credential is refused.
    Refused(Rejection),
    /// The verifier must fetch something first, such as the keys of the issuer. It limits the time
    /// for this.
    Later(Pin<Box<dyn Future<Output = Result<Arc<ClaimedCaller>, Rejection>> + Send>>),
}

/// Checks credentials of one kind. It runs for each call on the threads that serve connections, so
/// slow work must be in [`Verification::Later`], or its results must be cached.
pub trait Verifier: Send + Sync + fmt::Debug {
    /// Verifies a credential. `now` is the time for which it must be valid.
    fn verify(&self, credential: Credential<'_>, now: SystemTime) -> Verification;
}
