//! The current keys of an issuer, and the task that keeps them fresh.
//!
//! The task fetches at a fixed interval, after failures more often, and when a call asks for a key
//! that is not known. Two fetches that calls cause are at least [`COOLDOWN`] apart, however many
//! calls ask. If a fetch fails, the previous keys stay.

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

/// The time for one fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call waits for a fetch.
const WAIT: Duration = Duration::from_secs(3);
/// The least time between the beginnings of two fetches that calls cause, and between two attempts
/// if fetches fail.
const COOLDOWN: Duration = Duration::from_secs(10);
/// The calls that wait for a fetch at the same time. Further ones are refused at once.
const MAX_WAITING: usize = 1_024;

/// The keys of an issuer. Dropping it ends their refresh.
#[derive(Debug)]
pub(super) struct Ring {
    shared: Arc<Shared>,
    task: AbortHandle,
}

/// Keys, and which they are.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) set: KeySet,
    /// The issuer, if the source of the keys says it.
    pub(super) issuer: Option<String>,
    /// Counts the changes of the keys.
    pub(super) generation: u64,
}

#[derive(Debug)]
struct Shared {
    loaded: ArcSwapOption<Loaded>,
    wanted: Notify,
    state: watch::Sender<State>,
    waiting: AtomicUsize,
}

/// The state of the task.
#[derive(Clone, Copy, Debug)]
struct State {
    is_fetching: bool,
    /// Counts completed fetches.
    fetches: u64,
    /// Whether the last one succeeded.
    is_fresh: bool,
    /// Whether calls can cause another fetch: the last one is not too recent.
    may_ask: bool,
}

impl Ring {
    /// Starts to keep the keys of an issuer fresh, on the current runtime.
    ///
    /// # Errors
    /// The keys are in a file, which cannot be used.
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

    /// The keys, if they have been read.
    pub(super) fn load(&self) -> arc_swap::Guard<Option<Arc<Loaded>>> {
        self.shared.loaded.load()
    }

    /// The generation of the keys. 0 if there are none.
    pub(super) fn generation(&self) -> u64 {
        self.load().as_ref().map_or(0, |loaded| loaded.generation)
    }

    /// Whether the last fetch succeeded, so that a key that is not known does not exist.
    pub(super) fn is_fresh(&self) -> bool {
        self.shared.state.borrow().is_fresh
    }

    /// Waits for newer keys, for a bounded time. `None` if there can be none now: the last fetch is
    /// too recent, or too many calls wait already.
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

impl Drop for Ring {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// Takes keys into use. Returns whether they differ from the previous ones.
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

/// The task that keeps keys fresh.
struct Keeper {
    shared: Arc<Shared>,
    issuer: String,
    source: Source,
    refresh: Duration,
    metrics: Arc<Metrics>,
    /// What went wrong last. The same problem is logged once.
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

    /// Takes what was fetched into use, or says what went wrong.
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
