//! Keeps the connection to the store, and renews the lease of this replica.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::RedisResult;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    connect,
    reserve::address_of,
    script::Call,
    shared::{LEASE, Link, MEMORY, Shared, Step, Trouble},
};

/// The interval between two renewals of the lease.
const RENEW: Duration = Duration::from_secs(5);
/// The interval between two probes while the store does not respond.
const PROBE: Duration = Duration::from_millis(100);
/// The number of consecutive probes without a response after which the connection is replaced.
const MISSED_PROBES: u32 = 20;
/// The interval at which the store's settings are read again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The timeout of steps for which no call waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pauses between attempts to connect, which double from the first to the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What was logged last, so that the same message is not logged again.
#[derive(Default)]
struct Told {
    connect_error: Option<String>,
    settings: Option<connect::Info>,
    may_not_ask: bool,
}

/// Keeps the connection for as long as the process runs.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut told = Told::default();
    let mut pause = FIRST_PAUSE;
    let mut number = 0;
    loop {
        let (pushes, mut ended) = mpsc::unbounded_channel();
        match connect::connect(&shared.options, pushes).await {
            Ok(connection) => {
                number += 1;
                let link = Link { connection, number };
                match shared.join(&link, &mut told).await {
                    Ok(()) => {
                        pause = FIRST_PAUSE;
                        told.connect_error = None;
                        shared.serve(link, &mut ended, &mut told).await;
                        shared.connected(None);
                    }
                    Err(error) => told.cannot_connect(&shared, error.to_string()),
                }
            }
            Err(error) => told.cannot_connect(&shared, error),
        }
        sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

impl Told {
    fn cannot_connect(&mut self, shared: &Shared, error: String) {
        if self.connect_error.as_ref() != Some(&error) {
            tracing::warn!(
                address = address_of(&shared.options),
                %error,
                policy = shared.options.on_failure.as_str(),
                "cannot connect to the store of limits; until it is back, limits.on_store_failure applies"
            );
            self.connect_error = Some(error);
        }
    }
}

impl Shared {
    /// Prepares a new connection for calls: gets a lease, and queues the settlements that the store
    /// has lost.
    async fn join(&self, link: &Link, told: &mut Told) -> Result<(), Trouble> {
        let mut link = link.clone();
        self.renew(&mut link, true).await?;
        self.look(&mut link, told).await;
        self.probe(&mut link, PATIENCE).await?;
        self.connected(Some(link));
        self.recovered();
        tracing::info!(
            address = address_of(&self.options),
            replica = self.replica,
            "connected to the store of limits"
        );
        Ok(())
    }

    /// Uses a connection until it is broken.
    async fn serve(
        &self,
        mut link: Link,
        ended: &mut mpsc::UnboundedReceiver<redis::PushInfo>,
        told: &mut Told,
    ) {
        let every = |time| {
            let mut interval = interval(time);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let (mut renew, mut probe, mut look) = (every(RENEW), every(PROBE), every(LOOK_AGAIN));
        let mut missed = 0;
        while !self.knows_broken(link.number) {
            tokio::select! {
                push = ended.recv() => {
                    if push.is_none_or(|push| push.kind == redis::PushKind::Disconnection) {
                        return;
                    }
                }
                () = self.broken.notified() => {}
                _ = renew.tick() => {
                    if let Err(trouble) = self.renew(&mut link, false).await {
                        self.failed(Step::Renew, &link, &trouble);
                    }
                }
                _ = probe.tick(), if self.breaker.is_open() => {
                    match self.probe(&mut link, self.options.timeout).await {
                        Ok(()) => {
                            missed = 0;
                            self.recovered();
                        }
                        Err(Trouble::Timeout) => {
                            missed += 1;
                            if missed >= MISSED_PROBES {
                                return;
                            }
                        }
                        Err(trouble) => self.failed(Step::Renew, &link, &trouble),
                    }
                }
                _ = look.tick() => self.look(&mut link, told).await,
            }
        }
    }

    /// Renews the lease of this replica, and ends the lapsed leases of other replicas.
    pub(super) async fn renew(&self, link: &mut Link, is_new: bool) -> Result<(), Trouble> {
        let call = Call {
            program: &self.scripts.renew,
            keys: vec![self.reservations_of(&self.replica), self.key("leases")],
            arguments: vec![self.replica.clone(), LEASE.as_millis().to_string()],
        };
        let started = Instant::now();
        let (settled, lapsed): (u64, Vec<String>) = patient(call.run(&mut link.connection)).await?;
        self.succeeded(Step::Renew, started.elapsed());
        if is_new {
            let repeated = self.queue.repeat_after(settled);
            if repeated > 0 {
                tracing::warn!(
                    repeated,
                    "the store of limits has lost settlements; the gateway sends them again"
                );
            }
        }
        for replica in lapsed {
            self.lapse(link, &replica).await?;
        }
        Ok(())
    }

    /// Releases the open calls of a replica whose lease has lapsed. The tokens and cost that they
    /// reserved remain charged.
    async fn lapse(&self, link: &mut Link, replica: &str) -> Result<(), Trouble> {
        let key = self.reservations_of(replica);
        let mut read = redis::cmd("HGETALL");
        read.arg(&key);
        let records: HashMap<String, String> =
            patient(read.query_async(&mut link.connection)).await?;
        let mut lapsed = 0;
        for (id, record) in records {
            // The fields of a record: time, state, four amounts, limits, names.
            let parts: Vec<&str> = record.split(' ').collect();
            let &[_, "open", _, _, _, _, limits, names] = parts.as_slice() else {
                continue;
            };
            let mut keys = vec![key.clone(), self.key("leases")];
            keys.extend(names.split(';').map(|name| self.key(name)));
            let call = self.lapse_call(keys, replica, &id, limits);
            lapsed += patient(call.run::<u64>(&mut link.connection)).await?;
        }
        let keys = vec![key, self.key("leases")];
        let call = self.lapse_call(keys, replica, "", "");
        let ended = patient(call.run::<u64>(&mut link.connection)).await?;
        self.metrics.limit_store.lapsed.inc_by(lapsed);
        if lapsed > 0 || ended > 0 {
            tracing::warn!(
                replica,
                reservations = lapsed,
                "another replica ended without settling; its open calls stay charged as reserved, which is an estimate"
            );
        }
        Ok(())
    }

    fn lapse_call(&self, keys: Vec<String>, replica: &str, id: &str, limits: &str) -> Call<'_> {
        let kept_for = MEMORY.as_millis().to_string();
        Call {
            program: &self.scripts.lapse,
            keys,
            arguments: [replica, kept_for.as_str(), id, limits]
                .map(str::to_owned)
                .into(),
        }
    }

    /// Reads the store's settings, and warns about settings with which counts can be lost.
    async fn look(&self, link: &mut Link, told: &mut Told) {
        let read = timeout(PATIENCE, connect::info(&mut link.connection)).await;
        let Ok(info) = read else {
            return;
        };
        let Some(info) = info else {
            if !std::mem::replace(&mut told.may_not_ask, true) {
                tracing::warn!(
                    "the store of limits does not allow INFO, so its version and eviction policy are not known"
                );
            }
            return;
        };
        self.metrics.limit_store.evicts.set(info.evicts().into());
        if told.settings.as_ref() == Some(&info) {
            return;
        }
        if info.is_too_old() {
            tracing::error!(
                version = info.version,
                "the store of limits is too old: Redis 7 or Valkey is needed"
            );
        }
        if info.evicts() {
            tracing::warn!(
                policy = info.policy,
                "the store of limits evicts counts when it is full; set maxmemory-policy to noeviction"
            );
        }
        told.settings = Some(info);
    }

    /// Releases the lease. Call it when all calls have been settled.
    pub(super) async fn leave(&self) {
        let Some(mut link) = self.link() else {
            return;
        };
        let call = Call {
            program: &self.scripts.leave,
            keys: vec![self.reservations_of(&self.replica), self.key("leases")],
            arguments: vec![self.replica.clone()],
        };
        if let Err(trouble) = patient(call.run::<u64>(&mut link.connection)).await {
            tracing::warn!(error = %trouble, "cannot release the lease in the store of limits; it lapses after a few seconds");
        }
    }
}

/// Returns the result of a step for which no call waits, or an error after its timeout.
async fn patient<T>(answer: impl Future<Output = RedisResult<T>>) -> Result<T, Trouble> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(Trouble::Redis),
        Err(_) => Err(Trouble::Timeout),
    }
}
