//! Compares the counts with a slow model, which keeps all events and recalculates the counts for
//! each decision.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use proptest::prelude::*;
use time::OffsetDateTime;

use super::*;
use crate::config::Quota;

const DAY: u64 = 86_400_000;

/// All amounts that were taken from one limit, each with its time and its call.
#[derive(Default)]
struct History(Vec<(u64, i128, u64)>);

impl History {
    /// Returns the amount in use at this time.
    fn taken(&self, limit: Limit, now: u64) -> u128 {
        match limit.kind.window() {
            Window::Open => self.0.iter().map(|(_, amount, _)| amount).sum::<i128>() as u128,
            // In units of 1/60,000. Amounts are added in the order of their times, with the refills
            // in between.
            Window::Minute => {
                let mut taken = 0_i128;
                let mut last = 0;
                for (at, amount, _) in &self.0 {
                    let refill = i128::from(at - last) * i128::from(limit.most);
                    taken = (taken - refill).max(0);
                    taken = (taken + amount * 60_000).max(0);
                    last = *at;
                }
                (taken - i128::from(now - last) * i128::from(limit.most)).max(0) as u128
            }
            // The sum over the calls that began in the current period.
            window => self
                .0
                .iter()
                .filter(|(_, _, began)| current(window, *began) == current(window, now))
                .map(|(_, amount, _)| amount)
                .sum::<i128>() as u128,
        }
    }

    fn fits(&self, limit: Limit, amount: u64, now: u64) -> bool {
        let scale = if limit.kind.window() == Window::Minute {
            60_000
        } else {
            1
        };
        self.taken(limit, now) + u128::from(amount) * scale <= u128::from(limit.most) * scale
    }
}

fn current(window: Window, now: u64) -> (i32, u16) {
    let time = OffsetDateTime::from_unix_timestamp((now / 1_000) as i64).unwrap();
    match window {
        Window::Month => (time.year(), u8::from(time.month()).into()),
        _ => (time.year(), time.ordinal()),
    }
}

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Begin {
        caller: usize,
        amounts: Amounts,
    },
    /// One of the open calls ends. It has used this percentage of its reservation.
    End {
        which: usize,
        percent: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        prop_oneof![0..2_000_u64, 0..120_000_u64, 0..DAY, Just(20 * DAY)].prop_map(Event::Wait),
        (0..3_usize, 0..400_u64, 0..400_u64, 0..2_000_u64).prop_map(
            |(caller, input, output, nano_usd)| Event::Begin {
                caller,
                amounts: Amounts {
                    requests: 1,
                    input,
                    output,
                    nano_usd
                }
            }
        ),
        (0..3_usize, 0..400_u64, 0..400_u64, 0..2_000_u64).prop_map(
            |(caller, input, output, nano_usd)| Event::Begin {
                caller,
                amounts: Amounts {
                    requests: 1,
                    input,
                    output,
                    nano_usd
                }
            }
        ),
        (any::<usize>(), prop_oneof![Just(0), Just(100), 0..140_u64])
            .prop_map(|(which, percent)| Event::End { which, percent }),
    ]
}

fn limit(most: u64) -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (1..=most).prop_map(Some)]
}

prop_compose! {
    fn quota()(
        open_streams in limit(6),
        requests_per_minute in limit(30),
        tokens_per_minute in limit(3_000),
        input_tokens_per_minute in limit(3_000),
        output_tokens_per_minute in limit(3_000),
        tokens_per_day in limit(20_000),
        tokens_per_month in limit(60_000),
        nano_usd_per_day in limit(20_000),
        nano_usd_per_month in limit(60_000),
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

fn done<T>(step: Step<T>) -> T {
    match step {
        Step::Done(answer) => answer,
        Step::Later(_) => panic!("the process answers at once"),
    }
}

fn reservation(scopes: &Scopes, amounts: Amounts) -> Reservation {
    Reservation {
        id: 0,
        scopes: scopes.clone(),
        amounts,
        at: 0,
        held: StoreState::default(),
    }
}

proptest! {
    #[test]
    fn a_call_is_admitted_exactly_if_all_limits_have_room(
        quotas in prop::collection::vec(quota(), 5),
        events in prop::collection::vec(event(), 1..120),
    ) {
        // 2026-11-26, 23:00 UTC. A day and a month end during the test.
        let now = Arc::new(AtomicU64::new(1_795_734_000_000));
        let clock = Arc::clone(&now);
        let store = InProcess::with_clock(Arc::new(move || clock.load(Ordering::Relaxed)));
        let names = Names::default();
        let scope = |kind, name: usize| names.scope(kind, &name.to_string(), &quotas[name]);
        // There are three callers, of which the first two share a group. All three share a target.
        let group = scope(ScopeKind::Group, 3);
        let target = scope(ScopeKind::Target, 4);
        let callers: Vec<Scopes> = (0..3)
            .map(|name| {
                let own = scope(ScopeKind::Caller, name);
                let group = group.clone().filter(|_| name < 2);
                let all: Vec<_> = own.into_iter().chain(group).collect();
                Scopes { caller: Some(all.into()), target: target.clone() }
            })
            .collect();
        let mut histories: std::collections::HashMap<(usize, LimitKind), History> = Default::default();
        let mut open: Vec<Reservation> = Vec::new();
        for event in events {
            let at = now.load(Ordering::Relaxed);
            match event {
                Event::Wait(time) => now.store(at + time, Ordering::Relaxed),
                Event::Begin { caller, amounts } => {
                    let scopes = &callers[caller];
                    let fits = scopes.iter().all(|scope| scope.limits.iter().all(|limit| {
                        let history = histories.entry((scope.number, limit.kind)).or_default();
                        history.fits(*limit, limit.kind.of(&amounts), at)
                    }));
                    match done(store.reserve(reservation(scopes, amounts))) {
                        Ok(granted) => {
                            prop_assert!(fits, "{amounts:?} was admitted");
                            open.push(granted.reservation);
                            for scope in scopes.iter() {
                                for limit in &scope.limits {
                                    let taken = i128::from(limit.kind.of(&amounts));
                                    histories.entry((scope.number, limit.kind)).or_default().0.push((at, taken, at));
                                }
                            }
                        }
                        Err(refusal) => {
                            prop_assert!(!fits, "{amounts:?}: {refusal:?}");
                            // After the retry delay, the same call must fit.
                            if let Refusal::Exceeded { scope, limit, wanted, wait: Some(wait), .. } = refusal
                                && limit.kind != LimitKind::OpenStreams
                            {
                                let history = &histories[&(scope.number, limit.kind)];
                                let ended_before = match limit.kind.window() {
                                    Window::Minute => history.fits(limit, wanted, at + wait - 1),
                                    _ => false,
                                };
                                prop_assert!(!ended_before, "{wait} ms are too many");
                                prop_assert!(history.fits(limit, wanted, at + wait), "{wait} ms are too few");
                            }
                        }
                    }
                }
                Event::End { which, percent } => {
                    if open.is_empty() {
                        continue;
                    }
                    let reservation = open.swap_remove(which % open.len());
                    let part = |amount: u64| amount * percent / 100;
                    let Amounts { requests, input, output, nano_usd } = reservation.amounts;
                    let used = Amounts {
                        requests,
                        input: part(input),
                        output: part(output),
                        nano_usd: part(nano_usd),
                    };
                    for scope in reservation.scopes.iter() {
                        for limit in &scope.limits {
                            let used = match limit.kind {
                                LimitKind::OpenStreams => 0,
                                kind => kind.of(&used),
                            };
                            let change = i128::from(used) - i128::from(limit.kind.of(&reservation.amounts));
                            let history = histories.entry((scope.number, limit.kind)).or_default();
                            history.0.push((at, change, reservation.at));
                        }
                    }
                    let _standings = store.settle(reservation, used);
                }
            }
        }
    }
}

fn one(quota: Quota) -> (InProcess, Arc<AtomicU64>, Scopes) {
    let now = Arc::new(AtomicU64::new(1_795_734_000_000));
    let clock = Arc::clone(&now);
    let store = InProcess::with_clock(Arc::new(move || clock.load(Ordering::Relaxed)));
    let scope = Names::default()
        .scope(ScopeKind::Caller, "team-a", &quota)
        .unwrap();
    let scopes = Scopes {
        caller: Some(vec![scope].into()),
        target: None,
    };
    (store, now, scopes)
}

#[test]
fn a_clock_that_steps_back_gives_nothing_back_twice() {
    let quota = Quota {
        requests_per_minute: Some(2),
        tokens_per_day: Some(100),
        ..Quota::default()
    };
    let (store, now, scopes) = one(quota);
    let begin = |input| {
        let amounts = Amounts {
            requests: 1,
            input,
            ..Amounts::default()
        };
        done(store.reserve(reservation(&scopes, amounts)))
    };
    assert!(begin(60).is_ok());
    now.fetch_sub(2 * DAY, Ordering::Relaxed);
    assert!(begin(60).is_err(), "the day is still the one that was");
    assert!(begin(40).is_ok());
    assert!(begin(0).is_err(), "two requests are taken");
    now.fetch_add(2 * DAY + 30_000, Ordering::Relaxed);
    assert!(begin(0).is_ok(), "half a minute later, one is refilled");
    assert!(begin(0).is_err());
}

#[test]
fn counts_survive_another_config() {
    let names = Names::default();
    let store = InProcess::default();
    let with = |most| {
        let quota = Quota {
            tokens_per_day: Some(most),
            ..Quota::default()
        };
        let scope = names.scope(ScopeKind::Group, "all", &quota).unwrap();
        Scopes {
            caller: Some(vec![scope].into()),
            target: None,
        }
    };
    let amounts = Amounts {
        requests: 1,
        input: 60,
        ..Amounts::default()
    };
    assert!(done(store.reserve(reservation(&with(100), amounts))).is_ok());
    assert!(done(store.reserve(reservation(&with(100), amounts))).is_err());
    assert!(done(store.reserve(reservation(&with(120), amounts))).is_ok());
    assert!(done(store.reserve(reservation(&with(120), amounts))).is_err());
}

#[test]
fn a_refusal_says_which_limit_and_when_it_helps_to_try_again() {
    let exceeded = |quota: Quota, input| {
        let (store, _, scopes) = one(quota);
        let amounts = |input| Amounts {
            requests: 1,
            input,
            nano_usd: input,
            ..Amounts::default()
        };
        let first = done(store.reserve(reservation(&scopes, amounts(60))));
        assert!(first.is_ok());
        done(store.reserve(reservation(&scopes, amounts(input))))
            .unwrap_err()
            .failure()
    };
    let per_minute = Quota {
        tokens_per_minute: Some(100),
        ..Quota::default()
    };
    let failure = exceeded(per_minute, 60);
    assert_eq!(failure.reason.as_str(), "CALLER_RATE_LIMIT");
    assert_eq!(failure.retry_after.map(|time| time.as_secs()), Some(12));
    assert_eq!(failure.violations[0].field, "caller:team-a");
    assert!(
        failure
            .message
            .contains("tokens_per_minute is 100, 40 is left, and the call reserves 60"),
        "{failure}"
    );
    let failure = exceeded(per_minute, 101);
    assert_eq!(failure.retry_after, None);
    assert!(failure.message.contains("exceeds the limit"), "{failure}");
    let per_day = Quota {
        tokens_per_day: Some(100),
        ..Quota::default()
    };
    let failure = exceeded(per_day, 60);
    assert_eq!(failure.reason.as_str(), "CALLER_BUDGET_EXHAUSTED");
    assert_eq!(failure.retry_after.map(|time| time.as_secs()), Some(3_600));
    let per_month = Quota {
        nano_usd_per_month: Some(100),
        ..Quota::default()
    };
    let failure = exceeded(per_month, 60);
    assert_eq!(failure.retry_after, None);
    assert!(
        failure
            .message
            .contains("USD 0.0000001, USD 0.00000004 is left"),
        "{failure}"
    );
    assert!(failure.message.contains("next month"), "{failure}");
    let streams = Quota {
        open_streams: Some(1),
        ..Quota::default()
    };
    assert_eq!(exceeded(streams, 0).reason.as_str(), "CALLER_STREAM_LIMIT");
}
