//! The access gate: decides for each call whether it is allowed, and who its caller is. It checks
//! API keys first, and then asks the verifiers in their order.
//!
//! The rules are an immutable value, created from a configuration. Each call is checked by the
//! rules of the configuration with which it began.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderMap;
use tokio::time::Instant;

use super::{
    caller::Identity,
    certificate::ClientCertificate,
    certificate_verifier::CertificateVerifier,
    claimed_caller::{ClaimKind, ClaimedCaller},
    credential::{Credential, Peer},
    failures::{Attempt, Failures},
    key,
    rejection::Rejection,
    revocation::{Admits, Presented, Proof, ProofKind, Proven, Revocation, Revocations},
    snapshot::Snapshot,
    verifier::{Verification, Verifier},
};
use crate::{
    config::{Access, FailuresPerMinute, OnRevoke},
    error::{Failure, Reason},
    telemetry::{Metrics, metrics},
};

/// The prefix of the paths of health checks. Health checks need no credential, because probes have
/// none.
const HEALTH: &str = "/grpc.health.v1.Health/";
/// The prefix of the paths of reflection. Reflection needs no credential if
/// `access.open_reflection` is set.
const REFLECTION: &str = "/grpc.reflection.";

/// The retry delay for a call whose credential cannot be checked at the moment.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Decides whether a call is allowed, and identifies its caller. Cheap to clone; all clones share
/// the counts of failed attempts.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

struct Inner {
    failures: Failures,
    metrics: Arc<Metrics>,
    revocations: Revocations,
}

/// The rules by which calls are checked.
#[derive(Debug)]
pub struct Rules {
    /// Whether no kind of credential is configured. Then every call is allowed without an identity.
    is_open: bool,
    required: bool,
    open_reflection: bool,
    failures_per_minute: FailuresPerMinute,
    on_revoke: OnRevoke,
    snapshot: Snapshot,
    verifiers: Vec<Box<dyn Verifier>>,
    /// Verifies client certificates. `None` if the gateway does not ask clients for one.
    clients: Option<CertificateVerifier>,
}

impl Rules {
    /// Creates the rules of a configuration. `verifiers` are used for credentials that are not API
    /// keys.
    pub fn new(access: &Access, snapshot: Snapshot, verifiers: Vec<Box<dyn Verifier>>) -> Self {
        Self {
            is_open: !access.is_configured() && !access.required && verifiers.is_empty(),
            required: access.required,
            open_reflection: access.open_reflection,
            failures_per_minute: access.failures_per_minute,
            on_revoke: access.on_revoke,
            snapshot,
            verifiers,
            clients: None,
        }
    }

    /// Adds client certificates as credentials, for a listener that asks clients for them.
    #[must_use]
    pub fn with_client_certificates(mut self, clients: CertificateVerifier) -> Self {
        self.is_open = false;
        self.verifiers.push(Box::new(clients.clone()));
        self.clients = Some(clients);
        self
    }

    /// Returns whether every call is allowed and no reload can end a call.
    pub fn need_no_check(&self) -> bool {
        self.is_open && self.on_revoke == OnRevoke::Finish
    }

    /// Returns whether callers are identified. A call may still have no identity, if none is
    /// required.
    pub fn identify_callers(&self) -> bool {
        !self.is_open
    }

    /// Returns whether calls are allowed on a connection with this certificate, or with none.
    fn allow_connection(&self, certificate: Option<&ClientCertificate>) -> bool {
        let clients = self.clients.as_ref();
        clients.is_none_or(|clients| clients.allow(certificate))
    }

    /// Returns whether calls of this method need no identity.
    fn are_open(&self, path: &str) -> bool {
        !self.required || (self.open_reflection && path.starts_with(REFLECTION))
    }
}

impl Admits for Rules {
    fn admits(&self, proof: &Proof) -> bool {
        if self.on_revoke == OnRevoke::Finish {
            return true;
        }
        if !self.allow_connection(proof.certificate.0.as_deref()) {
            return false;
        }
        let Some(proven) = proof.proven.as_ref().filter(|_| !self.is_open) else {
            return true;
        };
        if let ProofKind::Claim(claimed) = &proven.by
            && !self.snapshot.expects(claimed)
        {
            return false;
        }
        let identity = match &proven.by {
            ProofKind::Key(sha256) => self.snapshot.by_hash(sha256, SystemTime::now()),
            ProofKind::Claim(claimed) => self.snapshot.by_claim(claimed),
        };
        // A token of a removed caller can still be accepted as that of an unlisted one.
        identity.is_ok_and(|identity| {
            *identity.name() == proven.caller && (identity.caller().is_listed || !proven.is_listed)
        })
    }
}

/// A call that is allowed.
#[derive(Debug, Default)]
pub struct Allowed {
    /// The identity of the caller. `None` if the call was allowed without one.
    pub identity: Option<Identity>,
    /// Ends the call if a reload revokes its credential or certificate. `None` if reloads do not
    /// end calls.
    pub revocation: Option<Arc<Revocation>>,
}

/// The gate's decision about a call.
pub enum GateDecision {
    /// The call is allowed.
    Pass(Allowed),
    /// The call is refused.
    Refuse(RefusedCall),
    /// The verifier must fetch something first. Pass the result to [`Gate::settle`].
    Later(Pin<Box<dyn Future<Output = Result<Arc<ClaimedCaller>, Rejection>> + Send>>),
}

/// Why a call is refused, and how long the client must wait if its address has exceeded the limit
/// of failed attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedCall {
    /// What is wrong with the credential.
    pub rejection: Rejection,
    /// The time after which failed attempts of the address are within the limit again.
    pub slow_down: Option<Duration>,
}

impl RefusedCall {
    /// Returns the failure that the caller receives.
    pub fn failure(&self) -> Failure {
        if self.rejection == Rejection::Unverifiable {
            return Failure::new(Reason::CallerUnverifiable, self.rejection.message())
                .with_retry_after(TRY_AGAIN);
        }
        match self.slow_down {
            None => Failure::new(Reason::CallerUnauthenticated, self.rejection.message()),
            Some(after) => Failure::new(
                Reason::TooManyFailedAttempts,
                format!(
                    "too many calls from this address had no valid credential; the last one: {}",
                    self.rejection.message()
                ),
            )
            .with_retry_after(after),
        }
    }
}

impl Gate {
    /// Creates a gate that has counted no failed attempts.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            failures: Failures::default(),
            metrics,
            revocations: Revocations::default(),
        }))
    }

    /// Makes these the current rules. If `access.on_revoke` is `cut`, ends open calls whose
    /// credential or connection the rules do not accept, and returns the number of their
    /// credentials. Call it when a configuration takes effect.
    pub fn enforce(&self, rules: Arc<Rules>) -> usize {
        self.0.revocations.enforce(rules)
    }

    /// Allows a call. If the rules say so, a reload can end it.
    fn allow(
        &self,
        rules: &Rules,
        identity: Option<Identity>,
        by: impl FnOnce() -> Option<ProofKind>,
        peer: Option<&Peer>,
    ) -> GateDecision {
        let begin = || {
            let proven = identity.as_ref().zip(by());
            self.0.revocations.begin(Proof {
                proven: proven.map(|(identity, by)| Proven {
                    caller: Arc::clone(identity.name()),
                    is_listed: identity.caller().is_listed,
                    by,
                }),
                certificate: Presented(peer.and_then(|peer| peer.certificate.clone())),
            })
        };
        let revocation = (rules.on_revoke == OnRevoke::Cut).then(begin);
        GateDecision::Pass(Allowed {
            identity,
            revocation,
        })
    }

    /// Checks a call by its headers and its connection.
    pub fn judge(
        &self,
        rules: &Rules,
        path: &str,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> GateDecision {
        if path.starts_with(HEALTH) {
            return GateDecision::Pass(Allowed::default());
        }
        if rules.is_open {
            return self.allow(rules, None, || None, peer);
        }
        // The connection may be older than the current configuration.
        if !rules.allow_connection(peer.and_then(|peer| peer.certificate.as_deref())) {
            return self.refuse_connection(rules, Rejection::UntrustedCertificate, path, peer);
        }
        let open = rules.are_open(path);
        let Some(credential) = Credential::of(headers, peer) else {
            return if open {
                self.unidentified(rules, peer)
            } else {
                self.refuse(rules, Rejection::Missing, path, peer)
            };
        };
        let now = SystemTime::now();
        if let Credential::Bearer(text) = credential
            && key::is_key(text)
        {
            return match rules.snapshot.by_key(text, now) {
                Ok(identity) => {
                    let by = || Some(ProofKind::Key(key::sha256(text)));
                    self.allow(rules, Some(identity), by, peer)
                }
                Err(rejection) => self.refuse(rules, rejection, path, peer),
            };
        }
        for verifier in rules.verifiers.iter() {
            match verifier.verify(credential, now) {
                Verification::NotMine => {}
                Verification::Valid(claimed) => return self.settle(rules, Ok(claimed), path, peer),
                Verification::Refused(rejection) => {
                    return match credential {
                        Credential::Bearer(_) => self.refuse(rules, rejection, path, peer),
                        Credential::Certificate(_) => {
                            self.refuse_connection(rules, rejection, path, peer)
                        }
                    };
                }
                Verification::Later(verdict) => return GateDecision::Later(verdict),
            }
        }
        // The credential may be meant for another recipient, such as a proxy. A call that needs no
        // credential is therefore not refused because of it.
        if open {
            self.unidentified(rules, peer)
        } else {
            self.refuse(rules, Rejection::WrongKind, path, peer)
        }
    }

    /// Decides about a call after a verifier has checked its credential.
    pub fn settle(
        &self,
        rules: &Rules,
        verdict: Result<Arc<ClaimedCaller>, Rejection>,
        path: &str,
        peer: Option<&Peer>,
    ) -> GateDecision {
        let claimed = match verdict {
            Ok(claimed) => claimed,
            Err(rejection) => return self.refuse(rules, rejection, path, peer),
        };
        match rules.snapshot.by_claim(&claimed) {
            Ok(identity) => {
                let identity = identity.by(claimed.kind.into());
                let by = || Some(ProofKind::Claim(Arc::clone(&claimed)));
                self.allow(rules, Some(identity), by, peer)
            }
            // The certificate may be that of a proxy, which does not identify the caller.
            Err(Rejection::Unlisted)
                if claimed.kind == ClaimKind::Certificate && rules.are_open(path) =>
            {
                self.unidentified(rules, peer)
            }
            Err(rejection) => self.refuse(rules, rejection, path, peer),
        }
    }

    /// Allows a call without an identity.
    fn unidentified(&self, rules: &Rules, peer: Option<&Peer>) -> GateDecision {
        self.0.metrics.unidentified_calls.inc();
        self.allow(rules, None, || None, peer)
    }

    /// Refuses a call because of the certificate of its connection. The client needs another
    /// connection, so this one is closed when its open calls have ended.
    fn refuse_connection(
        &self,
        rules: &Rules,
        rejection: Rejection,
        path: &str,
        peer: Option<&Peer>,
    ) -> GateDecision {
        if let Some(peer) = peer {
            peer.outdated.cancel();
        }
        self.refuse(rules, rejection, path, peer)
    }

    fn refuse(
        &self,
        rules: &Rules,
        rejection: Rejection,
        path: &str,
        peer: Option<&Peer>,
    ) -> GateDecision {
        let inner = &self.0;
        inner
            .metrics
            .authentication_failures
            .get_or_create(&metrics::AuthenticationFailure {
                reason: rejection.as_str(),
            })
            .inc();
        let attempt = peer.map_or(Attempt::Told, |peer| {
            let most = rules.failures_per_minute.0;
            inner
                .failures
                .count(peer.address.ip(), Instant::now(), most)
        });
        let slow_down = match attempt {
            Attempt::Told => {
                tracing::warn!(
                    target: "bedrock_grpc::audit",
                    reason = rejection.as_str(),
                    peer = peer.map(|peer| tracing::field::display(peer.address)),
                    method = shortened(path),
                    "authentication failed"
                );
                None
            }
            Attempt::Last(rest) => {
                tracing::warn!(
                    target: "bedrock_grpc::audit",
                    peer = peer.map(|peer| tracing::field::display(peer.address.ip())),
                    silent_for_s = rest.as_secs(),
                    "authentication failed too often from this address; further failures are counted, not logged"
                );
                Some(rest)
            }
            Attempt::Limited(rest) => Some(rest),
        };
        GateDecision::Refuse(RefusedCall {
            rejection,
            slow_down,
        })
    }
}

/// Returns a path for the log. It is shortened, because callers can choose paths of any length.
fn shortened(path: &str) -> &str {
    let end = path.floor_char_boundary(128);
    &path[..end]
}
