//! Ends open calls whose credential has been revoked, if the operator chose that
//! (`access.on_revoke: cut`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio_util::sync::CancellationToken;

use super::claimed::Claimed;

/// The number of entries from which on those of ended calls are removed.
const SWEEP_FROM: usize = 1_024;

/// The credential of a call, and the caller that it has proven.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Proof {
    pub(super) caller: Arc<str>,
    pub(super) by: ProofKind,
}

/// What has proven the identity of a caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ProofKind {
    /// The SHA-256 of an API key.
    Key([u8; 32]),
    /// What another credential says.
    Claim(Arc<Claimed>),
}

/// Whether a credential is accepted.
pub(super) trait Admits: Send + Sync {
    /// Returns whether open calls with this credential may continue.
    fn admits(&self, proof: &Proof) -> bool;
}

/// Is cancelled when the credential of a call is revoked. All open calls with the same credential
/// share one.
#[derive(Debug, Default)]
pub struct Revocation(CancellationToken);

impl Revocation {
    /// Waits until the credential is revoked: forever without one.
    pub async fn revoked(revocation: Option<&Self>) {
        match revocation {
            Some(revocation) => revocation.0.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

/// The credentials of open calls. Cheap to clone; all clones share the same state.
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
    /// Notes that a call with this credential begins. The call keeps the result.
    ///
    /// The call may have been checked by earlier rules than the current ones. If those do not
    /// accept its credential, it is revoked at once.
    pub(super) fn begin(&self, proof: Proof) -> Arc<Revocation> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = &state.current
            && !current.admits(&proof)
        {
            let revocation = Revocation::default();
            revocation.0.cancel();
            return Arc::new(revocation);
        }
        if let Some(revocation) = state.calls.get(&proof).and_then(Weak::upgrade) {
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

    /// Makes these the current rules. Returns the number of credentials with open calls that they
    /// do not accept; these calls end.
    pub(super) fn enforce(&self, rules: Arc<dyn Admits>) -> usize {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut revoked = 0;
        state.calls.retain(|proof, call| {
            let Some(call) = call.upgrade() else {
                return false;
            };
            let is_admitted = rules.admits(proof);
            if !is_admitted {
                call.0.cancel();
                revoked += 1;
            }
            is_admitted
        });
        state.current = Some(rules);
        revoked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepts the key that consists of this byte.
    struct Only(u8);

    impl Admits for Only {
        fn admits(&self, proof: &Proof) -> bool {
            proof.by == ProofKind::Key([self.0; 32])
        }
    }

    fn proof(byte: u8) -> Proof {
        Proof {
            caller: "a".into(),
            by: ProofKind::Key([byte; 32]),
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
        // Checked by the rules before, but begun after the change.
        assert!(revocations.begin(proof(1)).0.is_cancelled());
        // The credential is accepted again, for later calls.
        assert_eq!(revocations.enforce(Arc::new(Only(1))), 1);
        assert!(two.0.is_cancelled());
        assert!(!revocations.begin(proof(1)).0.is_cancelled());
    }

    #[test]
    fn ended_calls_leave_nothing_behind() {
        let revocations = Revocations::default();
        for number in 0..10 * SWEEP_FROM {
            let by = ProofKind::Claim(Arc::new(Claimed {
                name: number.to_string().into(),
                other_names: Vec::new(),
                kind: super::super::claimed::ClaimKind::Token,
                groups: Vec::new(),
                unlisted: None,
            }));
            revocations.begin(Proof {
                caller: "a".into(),
                by,
            });
        }
        let state = revocations.0.lock().unwrap();
        assert!(state.calls.len() <= SWEEP_FROM, "{}", state.calls.len());
    }
}
