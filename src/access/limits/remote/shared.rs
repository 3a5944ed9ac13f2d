//! The state that calls and the store's tasks share: the connection, the circuit breaker and the
//! queue of settlements.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{ErrorKind, RedisError, ServerErrorKind, aio::MultiplexedConnection};
use tokio::sync::Notify;

use super::{breaker::Breaker, queue::Queue, script::Scripts};
use crate::{
    access::limits::process::InProcess,
    config::RedisStore,
    telemetry::{
        Metrics,
        metrics::{StoreFailure, StoreStep},
    },
};

/// The duration of a replica's lease.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// How long a lapsed reservation can be corrected, and how long the ID of an abandoned reservation
/// is refused. No stream lasts as long.
pub(super) const MEMORY: Duration = Duration::from_secs(2 * 60 * 60);

/// The state that calls and the store's tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: RedisStore,
    pub(super) scripts: Scripts,
    /// The ID of this process, which is new after each restart.
    pub(super) replica: String,
    pub(super) breaker: Breaker,
    pub(super) queue: Queue,
    /// The counts in this process, for calls while the store does not respond.
    pub(super) local: InProcess,
    pub(super) metrics: Arc<Metrics>,
    /// Wakes the task that opens connections.
    pub(super) broken: Notify,
    /// Wakes the tasks that wait for a connection.
    pub(super) joined: Notify,
    link: RwLock<Option<Link>>,
    /// The number of the last connection that is known to be broken.
    broken_link: AtomicU64,
}

/// A connection to the store. All workers share it. Its task runs in the runtime of the process,
/// and sends commands that arrive at the same moment in a single write.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) connection: MultiplexedConnection,
    pub(super) number: u64,
}

/// A kind of step that the store executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Reserve,
    Settle,
    Renew,
}

/// Why a step failed.
#[derive(Debug)]
pub(super) enum Trouble {
    Timeout,
    Redis(RedisError),
}

impl Shared {
    pub(super) fn new(options: RedisStore, scripts: Scripts, metrics: Arc<Metrics>) -> Self {
        Self {
            options,
            scripts,
            replica: format!("{:016x}", fastrand::u64(..)),
            breaker: Breaker::default(),
            queue: Queue::default(),
            local: InProcess::default(),
            metrics,
            broken: Notify::new(),
            joined: Notify::new(),
            link: RwLock::default(),
            broken_link: AtomicU64::new(0),
        }
    }

    /// Returns the key with this name. All keys of a deployment have the same hash tag, so that one
    /// script can use several keys in a Redis cluster.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{{{}}}:{name}", self.options.deployment)
    }

    /// Returns the key of the hash with a replica's reservations.
    pub(super) fn reservations_of(&self, replica: &str) -> String {
        self.key(&format!("open:{replica}"))
    }

    /// Returns the connection, if there is one.
    pub(super) fn link(&self) -> Option<Link> {
        let link = self.link.read().unwrap_or_else(PoisonError::into_inner);
        link.clone()
    }

    /// Returns the connection for calls. `None` if the store does not respond.
    pub(super) fn available(&self) -> Option<Link> {
        self.link().filter(|_| !self.breaker.is_open())
    }

    pub(super) fn connected(&self, link: Option<Link>) {
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = link;
        self.show();
        self.queue.filled.notify_one();
        self.joined.notify_waiters();
    }

    /// Records that a connection is broken, or that its server is no longer the primary.
    pub(super) fn is_broken(&self, link: &Link) {
        self.broken_link.fetch_max(link.number, Relaxed);
        self.broken.notify_one();
    }

    /// Returns whether a connection is known to be broken.
    pub(super) fn knows_broken(&self, number: u64) -> bool {
        self.broken_link.load(Relaxed) >= number
    }

    /// Updates the metric that shows whether calls use the store.
    fn show(&self) {
        let available = self.available().is_some();
        self.metrics.limit_store.available.set(available.into());
    }

    /// Records a step that succeeded.
    pub(super) fn succeeded(&self, step: Step, took: Duration) {
        if step == Step::Reserve {
            self.breaker.succeeded();
        }
        let label = StoreStep {
            step: step.as_str(),
        };
        self.metrics
            .limit_store
            .duration
            .get_or_create_owned(&label)
            .observe(took);
    }

    /// Records a step that failed.
    pub(super) fn failed(&self, step: Step, link: &Link, trouble: &Trouble) {
        let label = StoreFailure {
            step: step.as_str(),
            reason: trouble.reason(),
        };
        self.metrics
            .limit_store
            .failures
            .get_or_create_owned(&label)
            .inc();
        if trouble.needs_connection() {
            self.is_broken(link);
        }
        if step == Step::Reserve && self.breaker.failed() {
            tracing::warn!(
                error = %trouble,
                policy = self.options.on_failure.as_str(),
                "the store of limits does not answer; until it is back, limits.on_store_failure applies"
            );
            self.show();
        }
    }

    /// Closes the circuit breaker, and logs that the store responds again.
    pub(super) fn recovered(&self) {
        if self.breaker.close() {
            tracing::info!("the store of limits answers again");
        }
        self.show();
    }
}

impl Step {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Settle => "settle",
            Self::Renew => "renew",
        }
    }
}

impl Trouble {
    pub(super) fn reason(&self) -> &'static str {
        let Self::Redis(error) = self else {
            return "timeout";
        };
        match error.kind() {
            ErrorKind::Io => "connection",
            ErrorKind::Server(ServerErrorKind::ReadOnly) => "read_only",
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain,
            ) => "starting",
            ErrorKind::Server(ServerErrorKind::NoPerm) => "permission",
            _ => match error.code() {
                Some("OOM") => "full",
                Some("MISCONF" | "NOREPLICAS") => "read_only",
                Some("NOAUTH" | "WRONGPASS") => "permission",
                Some("BUSY") => "timeout",
                _ if error.is_unrecoverable_error() => "connection",
                _ => "error",
            },
        }
    }

    /// Returns whether the store may have executed the step, or may still do so.
    pub(super) fn may_be_executed(&self) -> bool {
        matches!(self.reason(), "timeout" | "connection" | "error")
    }

    /// Returns whether a new connection may help, for example because another server is now the
    /// primary.
    fn needs_connection(&self) -> bool {
        match self {
            Self::Timeout => false,
            Self::Redis(error) => {
                error.is_unrecoverable_error()
                    || matches!(self.reason(), "read_only" | "connection")
            }
        }
    }

    /// Returns whether the same step can succeed later.
    pub(super) fn is_temporary(&self) -> bool {
        self.reason() != "error"
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Timeout => f.write_str("timed out"),
            Self::Redis(error) => error.fmt(f),
        }
    }
}
