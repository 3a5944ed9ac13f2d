//! A store that counts in Redis or Valkey, exactly for all replicas together. docs/limits-store.md
//! describes the guarantees.
//!
//! A call waits for one round trip, the reservation. Its settlement happens in the background. Each
//! step is a script, which is atomic over all scopes of the call and uses the store's clock.
//!
//! | file | job |
//! |---|---|
//! | `reserve` | reserves the amounts of a call, or decides without the store |
//! | `queue` | the settlements that the store has not acknowledged yet |
//! | `settle` | sends settlements to the store |
//! | `keep` | keeps the connection, and renews the lease of this replica |
//! | `connect` | opens connections, and reads the store's settings |
//! | `breaker` | the circuit breaker |
//! | `script` | the scripts: `level.lua`, and one for each step |
//! | `shared` | the state that the calls and the tasks share |
//!

mod breaker;
mod connect;
mod keep;
mod queue;
mod reserve;
mod script;
#[cfg(test)]
#[path = "../../../../tests/redis/server.rs"]
#[expect(dead_code, reason = "the tests of the gateway use the rest")]
mod server;
mod settle;
mod shared;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc, time::Duration};

use tokio::{
    task::AbortHandle,
    time::{Instant, timeout},
};

use self::{
    script::{Scripts, names_of},
    shared::Shared,
};
use super::{
    decision,
    kind::{Amounts, LimitKind},
    level::Level,
    refusal::Refusal,
    store::{Granted, Reservation, Scopes, Standing, Standings, Step, Store, StoreUnavailable},
};
use crate::{config::RedisStore, telemetry::Metrics};

/// A store that counts in Redis or Valkey. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Remote {
    shared: Arc<Shared>,
    _tasks: Arc<Tasks>,
}

/// The tasks of the store. They end when the store is dropped.
#[derive(Debug)]
struct Tasks([AbortHandle; 2]);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Remote {
    /// Starts to connect, with tasks on the current runtime. Until there is a connection, calls are
    /// decided without the store.
    ///
    /// # Errors
    /// Fails if a file that the options name cannot be used.
    pub fn start(options: RedisStore, metrics: Arc<Metrics>) -> io::Result<Self> {
        Self::with(options, Scripts::new(), metrics)
    }

    fn with(options: RedisStore, scripts: Scripts, metrics: Arc<Metrics>) -> io::Result<Self> {
        connect::client(&options)
            .map_err(|error| io::Error::other(format!("limits.store: {error}")))?;
        let shared = Arc::new(Shared::new(options, scripts, metrics));
        let tasks = [
            tokio::spawn(keep::keep(Arc::clone(&shared))).abort_handle(),
            tokio::spawn(settle::send(Arc::clone(&shared))).abort_handle(),
        ];
        Ok(Self {
            shared,
            _tasks: Arc::new(Tasks(tasks)),
        })
    }

    /// Waits for the first connection, but at most for this time.
    pub async fn connected(&self, limit: Duration) {
        let connected = async {
            loop {
                let joined = self.shared.joined.notified();
                tokio::pin!(joined);
                joined.as_mut().enable();
                if self.shared.available().is_some() {
                    return;
                }
                joined.await;
            }
        };
        if timeout(limit, connected).await.is_err() {
            tracing::warn!("the store of limits has not answered yet");
        }
    }

    /// Sends all settlements, which takes at most this time, and releases the lease.
    pub async fn close(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let settled = tokio::time::timeout_at(end, self.shared.queue.empty()).await;
        if settled.is_err() {
            let left = self.shared.queue.len();
            self.shared
                .metrics
                .limit_store
                .lost
                .inc_by(u64::try_from(left).unwrap_or(u64::MAX));
            tracing::error!(
                left,
                "some calls could not be settled in the store of limits; they stay charged as reserved"
            );
        }
        self.shared.leave().await;
    }
}

impl Store for Remote {
    fn reserve(&self, mut reservation: Reservation) -> Step<Result<Granted, Refusal>> {
        reservation.held.began = Some(Instant::now());
        let Some(link) = self.shared.available() else {
            return Step::Done(self.shared.without(reservation));
        };
        let shared = Arc::clone(&self.shared);
        Step::Later(Box::pin(
            async move { shared.reserve(link, reservation).await },
        ))
    }

    /// Returns the state of the limits when the call was reserved, corrected by what it has used.
    fn settle(&self, reservation: Reservation, used: Amounts) -> Option<Standings> {
        let mut standings = None;
        if reservation.held.locally_at.is_some() {
            let share = self.shared.local_share(&reservation);
            standings = self.shared.local.settle(share, used);
        } else if !reservation.held.levels.is_empty() {
            standings = Some(corrected(&reservation, &used));
        }
        self.shared.settle_later(reservation, used);
        standings
    }

    fn standings(&self, scopes: Scopes) -> Step<Result<Vec<Standing>, StoreUnavailable>> {
        let Some(mut link) = self.shared.available() else {
            return Step::Done(Err(StoreUnavailable));
        };
        let shared = Arc::clone(&self.shared);
        Step::Later(Box::pin(async move {
            let mut pipeline = redis::pipe();
            pipeline.cmd("TIME");
            for (scope, name) in scopes.iter().zip(names_of(&scopes)) {
                let read = pipeline.cmd("HMGET").arg(shared.key(&name));
                for limit in &scope.limits {
                    read.arg(limit.kind as usize);
                }
            }
            let answer = pipeline.query_async(&mut link.connection);
            let answer = timeout(shared.options.timeout, answer).await;
            let read = answer.ok().and_then(Result::ok).and_then(read_levels);
            let (now, levels) = read.ok_or(StoreUnavailable)?;
            Ok(decision::each(&scopes, now, reserve::in_order(&levels)))
        }))
    }
}

/// Reads the replies of `TIME` and `HMGET`: the time, and the counts.
fn read_levels(answers: Vec<Vec<Option<String>>>) -> Option<(u64, Vec<Level>)> {
    let number = |text: &str| text.parse::<u64>().ok();
    let (time, scopes) = answers.split_first()?;
    let [Some(seconds), Some(micros)] = time.as_slice() else {
        return None;
    };
    let now = number(seconds)? * 1_000 + number(micros)? / 1_000;
    let level = |value: &Option<String>| match value {
        None => Some(Level::default()),
        Some(text) => {
            let (taken, at) = text.split_once(' ')?;
            Some(Level::new(number(taken)?, number(at)?))
        }
    };
    let levels: Option<Vec<Level>> = scopes.iter().flatten().map(level).collect();
    Some((now, levels?))
}

/// Returns the state of the limits when the call was reserved, corrected by what it has used.
fn corrected(reservation: &Reservation, used: &Amounts) -> Standings {
    let passed = reservation.held.began.map(|began| began.elapsed());
    let passed = passed.unwrap_or_default().as_millis();
    let now = reservation.at + u64::try_from(passed).unwrap_or(0);
    let mut levels = reserve::in_order(&reservation.held.levels);
    decision::standings(&reservation.scopes, now, |scope, limit| {
        let mut level = levels(scope, limit);
        let used = match limit.kind {
            LimitKind::OpenStreams => 0,
            kind => kind.of(used),
        };
        let reserved = limit.kind.of(&reservation.amounts);
        level.correct(limit, reserved, used, reservation.at, now);
        level
    })
}
