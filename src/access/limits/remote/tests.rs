//! Compares the scripts with the counts in a process. For any sequence of events, both must make
//! the same decisions, have the same counts and return the same results.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use proptest::{prelude::*, test_runner::TestRunner};
use tokio::{runtime::Runtime, sync::mpsc};

use super::{
    connect,
    script::Scripts,
    server::RedisServer,
    shared::{LEASE, Link, Shared},
};
use crate::{
    access::limits::{
        Amounts, InProcess, Limit, LimitKind, Names, Reservation, Scope, ScopeKind, Scopes, Step,
        Store as _, StoreState,
    },
    config::{Quota, RedisStore},
    telemetry::Metrics,
};

const REPLICAS: usize = 3;
/// 2026-11-26, 23:00 UTC. A day and a month end during the test.
const START: u64 = 1_795_734_000_000;

/// A replica without background tasks. The test executes its steps.
struct Replica {
    shared: Shared,
    link: Link,
    open: Vec<Open>,
    lease: Option<u64>,
    /// Receives the message that the connection has ended.
    _pushes: mpsc::UnboundedReceiver<redis::PushInfo>,
}

/// An open call, with its reservations in the store and in the process.
struct Open {
    remote: Reservation,
    local: Reservation,
    lapsed: bool,
}

impl Replica {
    async fn join(options: &RedisStore, clock: &str) -> Self {
        let scripts = Scripts::with_clock(clock);
        let shared = Shared::new(options.clone(), scripts, Arc::new(Metrics::default()));
        let (sender, pushes) = mpsc::unbounded_channel();
        let connection = connect::connect(options, sender).await.unwrap();
        Self {
            shared,
            link: Link {
                connection,
                number: 1,
            },
            open: Vec::new(),
            lease: None,
            _pushes: pushes,
        }
    }

    /// Sends all settlements twice.
    async fn flush(&mut self) {
        let (batch, lost) = self.shared.queue.batch(64);
        assert_eq!(lost, 0);
        for _ in 0..2 {
            let failed = self.shared.send_batch(&mut self.link, &batch).await;
            assert!(failed.is_none(), "{failed:?}");
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Wait(i64),
    Begin {
        replica: usize,
        caller: usize,
        amounts: Amounts,
        again: bool,
    },
    /// A call of a replica ends. It has used this percentage of its reservation.
    End {
        replica: usize,
        which: usize,
        percent: u64,
    },
    /// A replica renews its lease, and ends the leases of other replicas that have lapsed.
    Renew(usize),
    /// A call ends. Its reservation never reached the store.
    Unreserved {
        replica: usize,
        caller: usize,
        amounts: Amounts,
    },
}

const DAY: i64 = 86_400_000;

fn amounts() -> impl Strategy<Value = Amounts> {
    let few = (0..400_u64, 0..400_u64, 0..2_000_u64);
    let many = (
        0..2_000_000_u64,
        0..2_000_000_u64,
        0..600_000_000_000_000_u64,
    );
    prop_oneof![few, many].prop_map(|(input, output, nano_usd)| Amounts {
        requests: 1,
        input,
        output,
        nano_usd,
    })
}

fn event() -> impl Strategy<Value = Event> {
    let wait = prop_oneof![
        0..2_000_i64,
        0..120_000_i64,
        0..DAY,
        Just(20 * DAY),
        -40_000..0_i64,
        -2 * DAY..0_i64
    ];
    let begin = (0..REPLICAS, 0..3_usize, amounts(), any::<bool>()).prop_map(
        |(replica, caller, amounts, again)| Event::Begin {
            replica,
            caller,
            amounts,
            again,
        },
    );
    let end = (
        0..REPLICAS,
        any::<usize>(),
        prop_oneof![Just(0), Just(100), 0..140_u64],
    )
        .prop_map(|(replica, which, percent)| Event::End {
            replica,
            which,
            percent,
        });
    let unreserved = (0..REPLICAS, 0..3_usize, amounts()).prop_map(|(replica, caller, amounts)| {
        Event::Unreserved {
            replica,
            caller,
            amounts,
        }
    });
    prop_oneof![
        3 => wait.prop_map(Event::Wait),
        6 => begin,
        4 => end,
        2 => (0..REPLICAS).prop_map(Event::Renew),
        1 => unreserved,
    ]
}

/// Generates limits, from small ones that are always reached to the largest that can be configured.
fn limit(few: u64, most: u64) -> impl Strategy<Value = Option<u64>> {
    prop_oneof![
        2 => Just(None),
        3 => (1..=few).prop_map(Some),
        1 => (1..=most).prop_map(Some),
        1 => Just(Some(most)),
    ]
}

prop_compose! {
    fn quota()(
        open_streams in limit(6, 1_000_000),
        requests_per_minute in limit(30, 1_000_000_000),
        tokens_per_minute in limit(3_000, 1_000_000_000),
        input_tokens_per_minute in limit(3_000, 1_000_000_000),
        output_tokens_per_minute in limit(3_000, 1_000_000_000),
        tokens_per_day in limit(20_000, 1_000_000_000_000),
        tokens_per_month in limit(60_000, 1_000_000_000_000),
        nano_usd_per_day in limit(20_000, 1_000_000_000_000_000),
        nano_usd_per_month in limit(60_000, 1_000_000_000_000_000),
    ) -> Quota {
        Quota {
            open_streams,
            requests_per_minute,
            tokens_per_minute,
            input_tokens_per_minute,
            output_tokens_per_minute,
            tokens_per_day,
            tokens_per_month,
            nano_usd_per_day,
            nano_usd_per_month,
        }
    }
}

/// The counts in the process. The test reports events to it that the store detects itself.
struct Model {
    process: InProcess,
    now: Arc<AtomicU64>,
}

fn done<T>(step: Step<T>) -> T {
    match step {
        Step::Done(answer) => answer,
        Step::Later(_) => panic!("the process answers at once"),
    }
}

/// Returns the same scopes with only those limits that `wanted` selects.
fn only(scopes: &Scopes, wanted: impl Fn(LimitKind) -> bool) -> Scopes {
    let less = |scope: &Arc<Scope>| {
        let limits = scope.limits.iter().copied();
        let limits = limits.filter(|limit: &Limit| wanted(limit.kind));
        Arc::new(Scope {
            limits: limits.collect(),
            ..Scope::clone(scope)
        })
    };
    Scopes {
        caller: scopes
            .caller
            .as_ref()
            .map(|scopes| scopes.iter().map(less).collect()),
        target: scopes.target.as_ref().map(less),
    }
}

/// Returns the same scopes without their limits on open streams.
fn without_places(scopes: &Scopes) -> Scopes {
    only(scopes, |kind| kind != LimitKind::OpenStreams)
}

impl Model {
    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// A replica has ended: its open calls are released, and everything that it reserved counts as
    /// used.
    fn lapse(&self, replica: &mut Replica) {
        for open in replica.open.iter_mut().filter(|open| !open.lapsed) {
            open.lapsed = true;
            let mut places = open.local.clone();
            places.scopes = only(&places.scopes, |kind| kind == LimitKind::OpenStreams);
            self.settle(places, open.local.amounts);
        }
    }

    fn settle(&self, reservation: Reservation, used: Amounts) {
        let _standings = self.process.settle(reservation, used);
    }

    /// Charges the whole usage of a call that has no reservation in the store.
    fn charge(&self, scopes: &Scopes, used: Amounts) {
        let nothing = Reservation {
            id: 0,
            scopes: without_places(scopes),
            amounts: Amounts::default(),
            at: self.now(),
            held: StoreState::default(),
        };
        self.settle(nothing, used);
    }
}

/// Creates the scopes of three callers, of which the first two share a group. All three share a
/// target.
fn callers(quotas: &[Quota]) -> Vec<Scopes> {
    let names = Names::default();
    let scope = |kind, name: usize| names.scope(kind, &format!("n {name};ä"), &quotas[name]);
    let group = scope(ScopeKind::Group, 3);
    let target = scope(ScopeKind::Target, 4);
    (0..3)
        .map(|name| {
            let own = scope(ScopeKind::Caller, name);
            let group = group.clone().filter(|_| name < 2);
            let all: Vec<_> = own.into_iter().chain(group).collect();
            Scopes {
                caller: Some(all.into()),
                target: target.clone(),
            }
        })
        .collect()
}

fn part(amounts: &Amounts, percent: u64) -> Amounts {
    let part = |amount: u64| amount / 100 * percent + amount % 100 * percent / 100;
    Amounts {
        requests: amounts.requests,
        input: part(amounts.input),
        output: part(amounts.output),
        nano_usd: part(amounts.nano_usd),
    }
}

async fn play(
    port: u16,
    case: u64,
    quotas: Vec<Quota>,
    events: Vec<Event>,
) -> Result<(), TestCaseError> {
    let mut options = RedisStore::at("127.0.0.1", port);
    options.deployment = format!("case-{case}");
    options.timeout = Duration::from_secs(10);
    let clock = format!("{{case-{case}}}:clock");
    let mut replicas = Vec::new();
    for _ in 0..REPLICAS {
        replicas.push(Replica::join(&options, &clock).await);
    }
    let now = Arc::new(AtomicU64::new(START));
    let model = Model {
        process: InProcess::with_clock({
            let now = Arc::clone(&now);
            Arc::new(move || now.load(Ordering::Relaxed))
        }),
        now,
    };
    let set_clock = async |link: &mut Link, now: u64| {
        let mut set = redis::cmd("SET");
        set.arg(&clock).arg(now);
        set.exec_async(&mut link.connection).await.unwrap();
    };
    set_clock(&mut replicas[0].link, START).await;
    let callers = callers(&quotas);
    let lease = LEASE.as_millis() as u64;
    let mut id = 0;
    for event in events {
        let at = model.now();
        match event {
            Event::Wait(time) => {
                let then = at.saturating_add_signed(time);
                model.now.store(then, Ordering::Relaxed);
                set_clock(&mut replicas[0].link, then).await;
            }
            Event::Begin {
                replica,
                caller,
                amounts,
                again,
            } => {
                let scopes = &callers[caller];
                if scopes.is_empty() {
                    continue;
                }
                id += 1;
                let reservation = Reservation {
                    id,
                    scopes: scopes.clone(),
                    amounts,
                    at: 0,
                    held: StoreState::default(),
                };
                let replica = &mut replicas[replica];
                let expected = done(model.process.reserve(reservation.clone()));
                let link = replica.link.clone();
                let got = replica.shared.reserve(link, reservation.clone()).await;
                match (got, expected) {
                    (Ok(got), Ok(expected)) => {
                        prop_assert_eq!(got.reservation.at, at);
                        prop_assert_eq!(got.standings, expected.standings);
                        if again {
                            let link = replica.link.clone();
                            let got = replica.shared.reserve(link, reservation).await.unwrap();
                            prop_assert_eq!(got.standings, expected.standings);
                        }
                        replica.lease.get_or_insert(at + lease);
                        replica.open.push(Open {
                            remote: got.reservation,
                            local: expected.reservation,
                            lapsed: false,
                        });
                    }
                    (Err(got), Err(expected)) => prop_assert_eq!(got, expected),
                    (got, expected) => {
                        prop_assert!(false, "{got:?} instead of {expected:?}");
                    }
                }
            }
            Event::End {
                replica,
                which,
                percent,
            } => {
                let replica = &mut replicas[replica];
                if replica.open.is_empty() {
                    continue;
                }
                let open = replica.open.swap_remove(which % replica.open.len());
                let used = part(&open.local.amounts, percent);
                replica.shared.settle_later(open.remote, used);
                replica.flush().await;
                let mut local = open.local;
                if open.lapsed {
                    local.scopes = without_places(&local.scopes);
                }
                model.settle(local, used);
            }
            Event::Renew(which) => {
                for replica in &mut replicas {
                    replica.lease = replica.lease.map(|end| end.min(at + lease));
                }
                replicas[which].lease = Some(at + lease);
                let mut link = replicas[which].link.clone();
                replicas[which].shared.renew(&mut link, true).await.unwrap();
                for replica in &mut replicas {
                    if replica.lease.is_some_and(|end| end <= at) {
                        replica.lease = None;
                        model.lapse(replica);
                    }
                }
            }
            Event::Unreserved {
                replica,
                caller,
                amounts,
            } => {
                id += 1;
                let reservation = Reservation {
                    id,
                    scopes: callers[caller].clone(),
                    amounts,
                    at: 0,
                    held: StoreState::default(),
                };
                if reservation.scopes.is_empty() {
                    continue;
                }
                replicas[replica].shared.settle_later(reservation, amounts);
                replicas[replica].flush().await;
                model.charge(&callers[caller], amounts);
            }
        }
    }
    Ok(())
}

#[test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
fn the_store_counts_like_the_process() {
    let runtime = Runtime::new().unwrap();
    // All cases share one server, but each case uses its own keys.
    let redis = runtime.block_on(RedisServer::with(&[]));
    let case = AtomicU64::new(0);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 128,
        ..ProptestConfig::default()
    });
    let events = (
        prop::collection::vec(quota(), 5),
        prop::collection::vec(event(), 1..100),
    );
    let result = runner.run(&events, |(quotas, events)| {
        let case = case.fetch_add(1, Ordering::Relaxed);
        runtime.block_on(play(redis.port(), case, quotas, events))
    });
    if let Err(error) = result {
        panic!("{error}\n{runner}");
    }
}
