//! The current keys of an issuer, and the task that refreshes them.
//!
//! The task fetches keys at a fixed interval, after a shorter time if a fetch fails, and when a
//! call requests an unknown key. Fetches that calls request are at least [`COOLDOWN`] apart, no
//! matter how many calls request them. If a fetch fails, the previous keys remain valid.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwapOption;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    key_set::KeySet,
    source::{Fetched, Source},
};
use crate::telemetry::{Metrics, metrics};

/// The time limit of a fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum time for which a call waits for a fetch.
const WAIT: Duration = Duration::from_secs(3);
/// The minimum time between two fetches that calls request, and the time until the next attempt
/// after a failure.
const COOLDOWN: Duration = Duration::from_secs(10);
/// The maximum number of calls that wait for a fetch at the same time. Calls beyond it are refused
/// at once.
const MAX_WAITING: usize = 1_024;

/// The keys of an issuer. When this is dropped, the task that refreshes them ends.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// Keys that were loaded, with their generation.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) set: KeySet,
    /// The name of the issuer, if the source of the keys provides it.
    pub(super) issuer: Option<String>,
    /// The generation of the keys, which increases when they change.
    pub(super) generation: u64,
}

#[derive(Debug)]
struct Shared {
    loaded: ArcSwapOption<Loaded>,
    wanted: Notify,
    state: watch::Sender<State>,
    waiting: AtomicUsize,
}

/// The state of the task that refreshes the keys.
#[derive(Clone, Copy, Debug)]
struct State {
    is_fetching: bool,
    /// The number of completed fetches.
    fetches: u64,
    /// Whether the last fetch has succeeded.
    is_fresh: bool,
    /// Whether calls can request a fetch. They cannot shortly after the last one.
    may_ask: bool,
}

impl IssuerKeys {
    /// Starts to refresh the keys of an issuer on the current runtime.
    ///
    /// # Errors
    /// Fails if the keys are in a file that cannot be used.
    pub(super) fn start(
        issuer: &str,
        source: Source,
        refresh: Duration,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, String> {
        let first = match &source {
            Source::File(path) => Some(Source::read_file(path)?),
            _ => None,
        };
        let (state, _) = watch::channel(State {
            is_fetching: true,
            fetches: 0,
            is_fresh: false,
            may_ask: false,
        });
        let shared = Arc::new(Shared {
            loaded: ArcSwapOption::empty(),
            wanted: Notify::new(),
            state,
            waiting: AtomicUsize::new(0),
        });
        if let Some(fetched) = first {
            shared.accept(fetched);
        }
        let keeper = Keeper {
            shared: Arc::clone(&shared),
            issuer: issuer.to_owned(),
            source,
            refresh,
            metrics: Arc::clone(metrics),
            problem: None,
        };
        let task = tokio::spawn(keeper.run()).abort_handle();
        Ok(Self { shared, task })
    }

    /// Returns the keys, if they have been loaded.
    pub(super) fn load(&self) -> arc_swap::Guard<Option<Arc<Loaded>>> {
        self.shared.loaded.load()
    }

    /// Returns the generation of the keys, or 0 if there are none.
    pub(super) fn generation(&self) -> u64 {
        self.load().as_ref().map_or(0, |loaded| loaded.generation)
    }

    /// Returns whether the last fetch has succeeded. If so, a key that is unknown does not exist at
    /// the issuer.
    pub(super) fn is_fresh(&self) -> bool {
        self.shared.state.borrow().is_fresh
    }

    /// Waits for newer keys, for a limited time. Returns `None` if no fetch can be requested now,
    /// because the last one is too recent or too many calls are waiting.
    pub(super) fn newer(&self) -> Option<impl Future<Output = ()> + Send + use<>> {
        let State {
            is_fetching,
            fetches,
            may_ask,
            ..
        } = *self.shared.state.borrow();
        if !is_fetching && !may_ask {
            return None;
        }
        let place = Waiting::begin(&self.shared)?;
        if !is_fetching {
            self.shared.wanted.notify_one();
        }
        let mut state = self.shared.state.subscribe();
        Some(async move {
            let _place = place;
            let _in_time = timeout(WAIT, state.wait_for(|state| state.fetches > fetches)).await;
        })
    }
}

impl Drop for IssuerKeys {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// Replaces the current keys. Returns whether the new ones differ.
    fn accept(&self, fetched: Fetched) -> bool {
        let current = self.loaded.load();
        let current = current.as_ref();
        let is_same =
            |loaded: &Arc<Loaded>| loaded.set == fetched.set && loaded.issuer == fetched.issuer;
        if current.is_some_and(is_same) {
            return false;
        }
        let generation = current.map_or(0, |loaded| loaded.generation) + 1;
        self.loaded.store(Some(Arc::new(Loaded {
            set: fetched.set,
            issuer: fetched.issuer,
            generation,
        })));
        true
    }
}

/// A call that waits for a fetch.
struct Waiting(Arc<Shared>);

impl Waiting {
    fn begin(shared: &Arc<Shared>) -> Option<Self> {
        let before = shared.waiting.fetch_add(1, Ordering::Relaxed);
        let this = Self(Arc::clone(shared));
        (before < MAX_WAITING).then_some(this)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The task that refreshes the keys.
struct Keeper {
    shared: Arc<Shared>,
    issuer: String,
    source: Source,
    refresh: Duration,
    metrics: Arc<Metrics>,
    /// The last problem, so that the same problem is not logged again.
    problem: Option<String>,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            let began = Instant::now();
            self.shared
                .state
                .send_modify(|state| state.is_fetching = true);
            let fetched = match timeout(FETCH_TIMEOUT, self.source.fetch()).await {
                Ok(fetched) => fetched,
                Err(_) => Err(format!("no answer within {FETCH_TIMEOUT:?}")),
            };
            let is_fresh = fetched.is_ok();
            self.note(fetched);
            let next = began + COOLDOWN.min(self.refresh);
            self.shared.state.send_modify(|state| {
                *state = State {
                    is_fetching: false,
                    fetches: state.fetches + 1,
                    is_fresh,
                    may_ask: false,
                };
            });
            sleep_until(next).await;
            if is_fresh {
                self.shared.state.send_modify(|state| state.may_ask = true);
                tokio::select! {
                    () = sleep_until(began + self.refresh) => {}
                    () = self.shared.wanted.notified() => {}
                }
            }
        }
    }

    /// Uses the fetched keys, or logs the problem.
    fn note(&mut self, fetched: Result<Fetched, String>) {
        let issuer = self.issuer.as_str();
        let outcome = if fetched.is_ok() { "ok" } else { "error" };
        let label = metrics::KeyFetch {
            issuer: issuer.to_owned(),
            outcome,
        };
        self.metrics.key_fetches.get_or_create_owned(&label).inc();
        match fetched {
            Ok(fetched) => {
                let keys = metrics::Issuer {
                    issuer: issuer.to_owned(),
                };
                let now = metrics::seconds_since_epoch(SystemTime::now());
                self.metrics
                    .keys_fetched_at
                    .get_or_create_owned(&keys)
                    .set(now);
                let is_changed = self.shared.accept(fetched);
                if is_changed || self.problem.is_some() {
                    tracing::info!(issuer, is_changed, "the keys of a token issuer were read");
                }
                self.problem = None;
            }
            Err(error) => {
                if self.problem.as_ref() != Some(&error) {
                    let has_keys = self.shared.loaded.load().is_some();
                    tracing::error!(
                        issuer,
                        error,
                        has_keys,
                        "the keys of a token issuer cannot be read; previous keys stay valid"
                    );
                }
                self.problem = Some(error);
            }
        }
    }
}
