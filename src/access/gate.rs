//! Finds the identity of a call: API keys first, then the verifiers in their order.
//!
//! What calls are judged by is one immutable value, which is replaced as a whole.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use http::HeaderMap;
use tokio::time::Instant;

use super::{
    caller::Identity,
    claimed::{ClaimKind, Claimed},
    credential::{Credential, Peer},
    failures::{Attempt, Failures},
    key,
    rejection::Rejection,
    snapshot::Snapshot,
    verifier::{Verdict, Verifier},
};
use crate::{
    config::{Access, FailuresPerMinute},
    error::{Failure, Reason},
    telemetry::{Metrics, metrics},
};

/// Health checks are served to everyone: probes have no credentials.
const HEALTH: &str = "/grpc.health.v1.Health/";
/// Reflection is served to everyone if the operator wants it.
const REFLECTION: &str = "/grpc.reflection.";

/// When a caller may try again whose credential cannot be checked at the moment.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Decides which calls may go on, and whose they are. Cheap to clone; all clones share what is
/// configured.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rules: ArcSwap<Rules>,
    failures: Failures,
    metrics: Arc<Metrics>,
}

/// What calls are judged by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// No identities are configured: every call may go on without one.
    is_open: bool,
    required: bool,
    open_reflection: bool,
    snapshot: Arc<Snapshot>,
    verifiers: Arc<[Box<dyn Verifier>]>,
}

impl Rules {
    /// What the config says, with these verifiers behind the API keys.
    pub fn new(access: &Access, snapshot: Snapshot, verifiers: Arc<[Box<dyn Verifier>]>) -> Self {
        Self {
            is_open: !access.is_configured() && !access.required && verifiers.is_empty(),
            required: access.required,
            open_reflection: access.open_reflection,
            snapshot: Arc::new(snapshot),
            verifiers,
        }
    }

    /// Whether calls of this method need no identity.
    fn are_open(&self, path: &str) -> bool {
        !self.required || (self.open_reflection && path.starts_with(REFLECTION))
    }
}

/// What the gate says of a call.
pub enum Answer {
    /// It may go on. `None`: without an identity.
    Pass(Option<Identity>),
    /// It is refused.
    Refuse(Refused),
    /// The verifier has to fetch something first. What it says then goes to [`Gate::settle`].
    Later(Pin<Box<dyn Future<Output = Result<Arc<Claimed>, Rejection>> + Send>>),
}

/// A call that was refused: why, and when to try again, if its address has used up its share of
/// failed attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong with the credential.
    pub rejection: Rejection,
    /// When the address may fail again.
    pub slow_down: Option<Duration>,
}

impl Refused {
    /// What the caller is told.
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
    /// A gate that judges by these rules.
    pub fn new(rules: Rules, failures: FailuresPerMinute, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            rules: ArcSwap::from_pointee(rules),
            failures: Failures::new(failures.0),
            metrics,
        }))
    }

    /// Whether no identities are configured, so that calls need not be looked at.
    pub fn is_open(&self) -> bool {
        self.0.rules.load().is_open
    }

    /// From now on calls are judged by these rules. Those that have begun keep what they began
    /// with.
    pub fn swap(&self, rules: Rules) {
        self.0.rules.store(Arc::new(rules));
    }

    /// The same for callers and their keys alone. The verifiers stay.
    pub fn swap_snapshot(&self, snapshot: Snapshot) {
        let snapshot = Arc::new(snapshot);
        self.0.rules.rcu(|rules| Rules {
            snapshot: Arc::clone(&snapshot),
            ..Rules::clone(rules)
        });
    }

    /// Judges a call by its headers and its connection.
    pub fn judge(&self, path: &str, headers: &HeaderMap, peer: Option<&Peer>) -> Answer {
        let rules = self.0.rules.load();
        if rules.is_open || path.starts_with(HEALTH) {
            return Answer::Pass(None);
        }
        let open = rules.are_open(path);
        let Some(credential) = Credential::of(headers, peer) else {
            return if open {
                Answer::Pass(None)
            } else {
                self.refuse(Rejection::Missing, path, peer)
            };
        };
        let now = SystemTime::now();
        if let Credential::Bearer(text) = credential
            && key::is_key(text)
        {
            return match rules.snapshot.by_key(text, now) {
                Ok(identity) => Answer::Pass(Some(identity)),
                Err(rejection) => self.refuse(rejection, path, peer),
            };
        }
        for verifier in rules.verifiers.iter() {
            match verifier.verify(credential, now) {
                Verdict::NotMine => {}
                Verdict::Valid(claimed) => return self.settle(Ok(claimed), path, peer),
                Verdict::Refused(rejection) => return self.refuse(rejection, path, peer),
                Verdict::Later(verdict) => return Answer::Later(verdict),
            }
        }
        // The credential may be meant for another party, such as a proxy. A call that needs none is
        // not refused for it.
        if open {
            Answer::Pass(None)
        } else {
            self.refuse(Rejection::WrongKind, path, peer)
        }
    }

    /// Judges a call by what its verifier said.
    pub fn settle(
        &self,
        verdict: Result<Arc<Claimed>, Rejection>,
        path: &str,
        peer: Option<&Peer>,
    ) -> Answer {
        let rules = self.0.rules.load();
        let claimed = match verdict {
            Ok(claimed) => claimed,
            Err(rejection) => return self.refuse(rejection, path, peer),
        };
        match rules.snapshot.by_claim(&claimed) {
            Ok(identity) => Answer::Pass(Some(identity)),
            // A connection with a certificate may be that of a proxy: the certificate need not be
            // meant for this.
            Err(Rejection::Unlisted)
                if claimed.kind == ClaimKind::Certificate && rules.are_open(path) =>
            {
                Answer::Pass(None)
            }
            Err(rejection) => self.refuse(rejection, path, peer),
        }
    }

    fn refuse(&self, rejection: Rejection, path: &str, peer: Option<&Peer>) -> Answer {
        let inner = &self.0;
        inner
            .metrics
            .authentication_failures
            .get_or_create(&metrics::AuthenticationFailure {
                reason: rejection.as_str(),
            })
            .inc();
        let attempt = peer.map_or(Attempt::Told, |peer| {
            inner.failures.count(peer.address.ip(), Instant::now())
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
        Answer::Refuse(Refused {
            rejection,
            slow_down,
        })
    }
}

/// A path as far as it is worth logging: callers choose it.
fn shortened(path: &str) -> &str {
    let end = path.floor_char_boundary(128);
    &path[..end]
}
