//! Reserves the amounts of a call in the store, or decides without the store if it does not
//! respond.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use super::{
    script::{Call, arguments_of, limits_of, names_of},
    shared::{LEASE, Link, Shared, Step, Trouble},
};
use crate::{
    access::limits::{
        decision,
        kind::{Amounts, Limit},
        level::Level,
        refusal::Refusal,
        scope::Scope,
        store::{self, Granted, InStore, Reservation, Scopes, Standings, Store as _},
    },
    config::{OnStoreFailure, RedisStore},
    telemetry::metrics::WithoutStore,
};

const REFUSED: i64 = 0;
const GRANTED: i64 = 1;

/// The reply of the store to a reservation.
struct Reply {
    granted: bool,
    at: u64,
    now: u64,
    levels: Box<[Level]>,
}

/// A reservation that was sent to the store. If the call ends before the reply, the reserved
/// amounts are released.
struct Sent<'a> {
    shared: &'a Shared,
    reservation: Option<Reservation>,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if let Some(mut reservation) = self.reservation.take() {
            reservation.held.in_store = InStore::Unknown;
            self.shared.settle_later(reservation, Amounts::default());
        }
    }
}

impl Shared {
    /// Reserves the amounts of a call in the store.
    ///
    /// # Errors
    /// Fails if the call exceeds a limit, or if the store does not respond and the operator forbids
    /// calls without it.
    pub(super) async fn reserve(
        &self,
        mut link: Link,
        reservation: Reservation,
    ) -> Result<Granted, Refusal> {
        let call = self.reserve_call(&reservation);
        let mut sent = Sent {
            shared: self,
            reservation: Some(reservation),
        };
        let started = Instant::now();
        let answer = timeout(
            self.options.timeout,
            call.run::<Vec<i64>>(&mut link.connection),
        )
        .await;
        let trouble = match answer {
            Ok(Ok(numbers)) => {
                self.succeeded(Step::Reserve, started.elapsed());
                let Some(reservation) = sent.reservation.take() else {
                    return Err(Refusal::StoreUnavailable);
                };
                return self.decided(reservation, Reply::read(&numbers));
            }
            Ok(Err(error)) => Trouble::Redis(error),
            Err(_) => Trouble::Timeout,
        };
        self.failed(Step::Reserve, &link, &trouble);
        let Some(mut reservation) = sent.reservation.take() else {
            return Err(Refusal::StoreUnavailable);
        };
        reservation.held.in_store = if trouble.may_be_executed() {
            InStore::Unknown
        } else {
            InStore::No
        };
        self.without(reservation)
    }

    /// Checks whether the store can make reservations, without reserving anything.
    pub(super) async fn probe(&self, link: &mut Link, limit: Duration) -> Result<(), Trouble> {
        let nothing = Reservation {
            id: 0,
            scopes: Scopes::default(),
            amounts: Amounts::default(),
            at: 0,
            held: store::StoreState::default(),
        };
        let call = self.reserve_call(&nothing);
        match timeout(limit, call.run::<Vec<i64>>(&mut link.connection)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Trouble::Redis(error)),
            Err(_) => Err(Trouble::Timeout),
        }
    }

    fn reserve_call(&self, reservation: &Reservation) -> Call<'_> {
        let names = names_of(&reservation.scopes);
        let id = format!("{:032x}", reservation.id);
        let mut arguments = vec![
            id.clone(),
            self.replica.clone(),
            LEASE.as_millis().to_string(),
        ];
        arguments.extend(arguments_of(&reservation.amounts));
        arguments.extend([limits_of(&reservation.scopes), names.join(";")]);
        let mut keys = vec![
            self.reservations_of(&self.replica),
            self.key("leases"),
            self.key(&format!("void:{id}")),
        ];
        keys.extend(names.iter().map(|name| self.key(name)));
        Call {
            program: &self.scripts.reserve,
            keys,
            arguments,
        }
    }

    fn decided(
        &self,
        mut reservation: Reservation,
        reply: Option<Reply>,
    ) -> Result<Granted, Refusal> {
        let limits = reservation.scopes.limit_count();
        let Some(reply) = reply.filter(|reply| reply.levels.len() == limits) else {
            tracing::error!(
                "the store of limits sent an invalid reply; check that limits.store names Redis 7, Valkey or newer"
            );
            reservation.held.in_store = InStore::Unknown;
            return self.without(reservation);
        };
        if reply.granted {
            reservation.at = reply.at;
            let standings =
                decision::standings(&reservation.scopes, reply.now, in_order(&reply.levels));
            reservation.held.in_store = InStore::Yes;
            reservation.held.levels = reply.levels;
            return Ok(Granted {
                reservation,
                standings,
            });
        }
        let refusal = decision::refusal(&reservation, reply.now, in_order(&reply.levels));
        match refusal {
            Some(refusal) => Err(refusal),
            // The reply contains no decision, because the store has marked the ID as void. This
            // does not happen, because each call has a different ID.
            None => self.without(reservation),
        }
    }

    /// Decides about a call without the store, as `limits.on_store_failure` specifies.
    pub(super) fn without(&self, mut reservation: Reservation) -> Result<Granted, Refusal> {
        let policy = self.options.on_failure;
        let label = WithoutStore {
            policy: policy.as_str(),
        };
        self.metrics
            .limit_store
            .without
            .get_or_create_owned(&label)
            .inc();
        let refusal = match policy {
            OnStoreFailure::Allow => {
                return Ok(Granted {
                    reservation,
                    standings: Standings::default(),
                });
            }
            OnStoreFailure::Deny => Refusal::StoreUnavailable,
            OnStoreFailure::Local => match self.reserve_locally(&reservation) {
                Ok(granted) => {
                    reservation.held.locally_at = Some(granted.reservation.at);
                    return Ok(Granted {
                        reservation,
                        standings: granted.standings,
                    });
                }
                Err(refusal) => refusal,
            },
        };
        if reservation.held.in_store == InStore::Unknown {
            self.settle_later(reservation, Amounts::default());
        }
        Err(refusal)
    }

    fn reserve_locally(&self, reservation: &Reservation) -> Result<Granted, Refusal> {
        let share = self.local_share(reservation);
        match self.local.reserve(share) {
            store::Step::Done(granted) => granted,
            store::Step::Later(_) => Err(Refusal::StoreUnavailable),
        }
    }

    /// Returns the reservation with limits that are divided by the number of replicas.
    pub(super) fn local_share(&self, reservation: &Reservation) -> Reservation {
        let replicas = u64::from(self.options.replicas.unwrap_or(1).max(1));
        let share = |scope: &Arc<Scope>| {
            let limits = scope.limits.iter().map(|limit| Limit {
                kind: limit.kind,
                most: (limit.most / replicas).max(1),
            });
            Arc::new(Scope {
                kind: scope.kind,
                name: Arc::clone(&scope.name),
                number: scope.number,
                limits: limits.collect(),
            })
        };
        let scopes = Scopes {
            caller: reservation
                .scopes
                .caller
                .as_ref()
                .map(|scopes| scopes.iter().map(share).collect()),
            target: reservation.scopes.target.as_ref().map(share),
        };
        Reservation {
            id: reservation.id,
            scopes,
            amounts: reservation.amounts,
            at: reservation.held.locally_at.unwrap_or(0),
            held: store::StoreState::default(),
        }
    }

    /// Queues the settlement, which is sent in the background.
    pub(super) fn settle_later(&self, reservation: Reservation, used: Amounts) {
        if self.queue.push(reservation, used) {
            self.metrics.limit_store.waiting.inc();
        } else {
            self.metrics.limit_store.lost.inc();
        }
    }
}

impl Reply {
    fn read(numbers: &[i64]) -> Option<Self> {
        let number = |number: &i64| u64::try_from(*number).ok();
        let (head, counts) = numbers.split_at_checked(3)?;
        let pairs = counts.chunks_exact(2);
        let levels: Option<Box<[Level]>> = pairs
            .map(|pair| Some(Level::new(number(&pair[0])?, number(&pair[1])?)))
            .collect();
        Some(Self {
            granted: match head[0] {
                GRANTED => true,
                REFUSED => false,
                _ => return None,
            },
            at: number(&head[1])?,
            now: number(&head[2])?,
            levels: levels?,
        })
    }
}

/// Returns a function that returns one count after the other, in the order of a call's limits.
pub(super) fn in_order(levels: &[Level]) -> impl FnMut(&Scope, &Limit) -> Level {
    let mut levels = levels.iter().copied();
    move |_, _| levels.next().unwrap_or_default()
}

impl OnStoreFailure {
    /// Returns the value of the key as in the configuration.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Local => "local",
        }
    }
}

impl Scopes {
    fn limit_count(&self) -> usize {
        self.iter().map(|scope| scope.limits.len()).sum()
    }
}

/// Returns the host and the port of the store for messages, without the password.
pub(super) fn address_of(options: &RedisStore) -> String {
    format!("{}:{}", options.host, options.port)
}
