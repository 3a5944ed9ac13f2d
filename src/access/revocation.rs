//! Ends open calls whose credential has been revoked, or whose connection is no longer accepted, if
//! the operator chose that (`access.on_revoke: cut`).

use std::{
    collections::{HashMap, HashSet},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio_util::sync::CancellationToken;

use super::{certificate::ClientCertificate, claimed_caller::ClaimedCaller};

/// The minimum number of entries at which the entries of ended calls are removed.
const SWEEP_FROM: usize = 1_024;

/// The credential and the certificate because of which a call was allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Proof {
    /// `None` if the call has no identity.
    pub(super) proven: Option<Proven>,
    /// The certificate of the connection. It must be accepted even if the call has an API key.
    pub(super) certificate: Presented,
}

/// The caller of a call, and the credential by which it was identified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Proven {
    pub(super) caller: Arc<str>,
    /// Whether `callers` listed the caller.
    pub(super) is_listed: bool,
    pub(super) by: ProofKind,
}

/// The credential by which a caller was identified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ProofKind {
    /// The SHA-256 of an API key.
    Key([u8; 32]),
    /// A credential of another kind, which names this caller.
    Claim(Arc<ClaimedCaller>),
}

/// The certificate that a client presented for one connection, if any. Certificates of different
/// connections are never equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Presented(pub(super) Option<Arc<ClientCertificate>>);

impl Presented {
    fn address(&self) -> Option<*const ClientCertificate> {
        self.0.as_ref().map(Arc::as_ptr)
    }
}

impl PartialEq for Presented {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address()
    }
}

impl Eq for Presented {}

impl Hash for Presented {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

/// Rules that decide which calls are allowed.
pub(super) trait Admits: Send + Sync {
    /// Returns whether an open call with this proof may continue.
    fn admits(&self, proof: &Proof) -> bool;
}

/// Ends calls when their credential is revoked, or when their connection is no longer accepted. All
/// open calls with the same credential and connection share one.
#[derive(Debug, Default)]
pub struct Revocation(CancellationToken);

impl Revocation {
    /// Waits until the credential is revoked. Waits forever if there is no revocation.
    pub async fn revoked(revocation: Option<&Self>) {
        match revocation {
            Some(revocation) => revocation.0.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

/// The credentials and certificates of the open calls. Cheap to clone; all clones share the same
/// state.
#[derive(Clone, Default)]
pub(super) struct Revocations(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The rules of the current configuration. `None` until the first reload.
    current: Option<Arc<dyn Admits>>,
    calls: HashMap<Proof, Weak<Revocation>>,
    sweep_at: usize,
}

impl Revocations {
    /// Records a call that begins, with its credential and certificate. The call must keep the
    /// result.
    ///
    /// The call may have been checked by the previous rules, if the rules have just changed. If the
    /// current rules do not allow it, it is revoked at once.
    pub(super) fn begin(&self, proof: Proof) -> Arc<Revocation> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = &state.current
            && !current.admits(&proof)
        {
            let revocation = Revocation::default();
            revocation.0.cancel();
            return Arc::new(revocation);
        }
        let open = state.calls.get(&proof).and_then(Weak::upgrade);
        if let Some(revocation) = open.filter(|open| !open.0.is_cancelled()) {
            return revocation;
        }
        if state.calls.len() >= state.sweep_at.max(SWEEP_FROM) {
            state.calls.retain(|_, call| call.strong_count() > 0);
            state.sweep_at = 2 * state.calls.len();
        }
        let revocation = Arc::new(Revocation::default());
        state.calls.insert(proof, Arc::downgrade(&revocation));
        revocation
    }

    /// Makes these the current rules, and ends open calls that they do not allow. Returns the
    /// number of credentials of those calls.
    pub(super) fn enforce(&self, rules: Arc<dyn Admits>) -> usize {
        let open: Vec<_> = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.current = Some(Arc::clone(&rules));
            let calls = state.calls.iter();
            let open = calls.filter_map(|(proof, call)| Some((proof.clone(), call.upgrade()?)));
            open.filter(|(_, call)| !call.0.is_cancelled()).collect()
        };
        // The lock has been released, because verifying many certificates can take long. Calls that
        // begin in the meantime are checked in `begin`.
        let mut revoked = HashSet::new();
        for (proof, call) in open {
            if !rules.admits(&proof) {
                call.0.cancel();
                revoked.insert(proof.proven);
            }
        }
        revoked.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules that accept only the key that consists of this byte.
    struct Only(u8);

    impl Admits for Only {
        fn admits(&self, proof: &Proof) -> bool {
            let proven = proof.proven.as_ref();
            proven.is_some_and(|proven| proven.by == ProofKind::Key([self.0; 32]))
        }
    }

    fn proof(byte: u8) -> Proof {
        by(ProofKind::Key([byte; 32]))
    }

    fn by(by: ProofKind) -> Proof {
        let caller = "a".into();
        Proof {
            proven: Some(Proven {
                caller,
                is_listed: true,
                by,
            }),
            certificate: Presented::default(),
        }
    }

    #[test]
    fn calls_end_with_their_credential() {
        let revocations = Revocations::default();
        let (one, other, two) = (
            revocations.begin(proof(1)),
            revocations.begin(proof(1)),
            revocations.begin(proof(2)),
        );
        assert_eq!(revocations.enforce(Arc::new(Only(2))), 1);
        assert!(one.0.is_cancelled() && other.0.is_cancelled() && !two.0.is_cancelled());
        // The rules changed between the check of the call and its beginning.
        assert!(revocations.begin(proof(1)).0.is_cancelled());
        // The credential becomes valid again, but only for later calls.
        assert_eq!(revocations.enforce(Arc::new(Only(1))), 1);
        assert!(two.0.is_cancelled());
        assert!(!revocations.begin(proof(1)).0.is_cancelled());
    }

    #[test]
    fn ended_calls_leave_nothing_behind() {
        let revocations = Revocations::default();
        for number in 0..10 * SWEEP_FROM {
            let claim = ProofKind::Claim(Arc::new(ClaimedCaller {
                name: number.to_string().into(),
                other_names: Vec::new(),
                kind: super::super::claimed_caller::ClaimKind::Token,
                issuer: None,
                claim: None,
                audiences: Vec::new(),
                groups: Vec::new(),
                unlisted: None,
            }));
            revocations.begin(by(claim));
        }
        let state = revocations.0.lock().unwrap();
        assert!(state.calls.len() <= SWEEP_FROM, "{}", state.calls.len());
    }
}
