//! Three replicas under more load than the limits allow. The store logs each decision; a simple
//! model, which shares no code with the gateway, replays the log and has to come to the same
//! verdicts.

use std::{collections::HashMap, time::Duration};

use bedrock_grpc::config::{OnStoreFailure, Quota};
use tokio::time::Instant;

use super::{OPEN_STREAMS, TOKENS_PER_DAY, counts, replica, tokens, used};
use crate::harness::{RedisServer, key_of, keyed, quick_store_at, soon, store_at};

const CLIENTS: usize = 60;
const DAY: i128 = 86_400_000;

/// What a limit has counted, and up to when.
#[derive(Clone, Copy, Default)]
struct Count {
    taken: i128,
    at: i128,
}

/// Counts by scope and kind, and the open reservations.
#[derive(Default)]
struct Model {
    counts: HashMap<(String, usize), Count>,
    open: HashMap<String, (i128, [i128; 3])>,
}

/// The scopes of a logged step: name, kind and limit.
fn limits_of(limits: &str, names: &str) -> Vec<(String, usize, i128)> {
    let scopes = limits.split(';').zip(names.split(';'));
    let of_scope = |(limits, name): (&str, &str)| -> Vec<_> {
        let limit = |text: &str| {
            let (kind, most) = text.split_once(':').unwrap();
            (
                name.to_owned(),
                kind.parse().unwrap(),
                most.parse().unwrap(),
            )
        };
        limits.split(',').map(limit).collect()
    };
    scopes.flat_map(of_scope).collect()
}

/// What a call takes of a kind of limit, in the unit in which it is counted.
fn amount(kind: usize, amounts: [i128; 3]) -> i128 {
    let [requests, input, output] = amounts;
    match kind {
        0 => 1,
        1 => requests * 60_000,
        2 => (input + output) * 60_000,
        5 => input + output,
        _ => panic!("the test has no limit of kind {kind}"),
    }
}

impl Model {
    /// The count at this time, after refills and the end of days.
    fn count(&mut self, scope: &str, kind: usize, most: i128, now: i128) -> &mut Count {
        let count = self.counts.entry((scope.to_owned(), kind)).or_default();
        match kind {
            1 | 2 => {
                count.taken = (count.taken - (now - count.at).max(0) * most).max(0);
                count.at = count.at.max(now);
            }
            5 if now / DAY > count.at => {
                *count = Count {
                    taken: 0,
                    at: now / DAY,
                }
            }
            _ => {}
        }
        count
    }

    /// Replays a step of the log. Returns whether it was a reservation that was granted.
    fn replay(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split_whitespace().collect();
        let start = words.iter().position(|word| *word == "limits").unwrap();
        let [
            step,
            id,
            now,
            verdict,
            requests,
            input,
            output,
            _,
            limits,
            names,
            ..,
        ] = words[start + 1..]
        else {
            panic!("{line}");
        };
        let number = |text: &str| text.parse::<i128>().unwrap();
        let now = number(now);
        let amounts = [requests, input, output].map(number);
        let limits = limits_of(limits, names);
        if step == "reserve" {
            let fits = limits.iter().all(|(scope, kind, most)| {
                let full = if matches!(kind, 1 | 2) {
                    most * 60_000
                } else {
                    *most
                };
                let count = self.count(scope, *kind, *most, now);
                count.taken + amount(*kind, amounts) <= full
            });
            assert_eq!(fits, verdict == "granted", "{line}");
            if fits {
                for (scope, kind, most) in &limits {
                    self.count(scope, *kind, *most, now).taken += amount(*kind, amounts);
                }
                self.open.insert(id.to_owned(), (now, amounts));
            }
            return fits;
        }
        assert_eq!(step, "settle", "{line}");
        let reserved = self.open.remove(id);
        assert_eq!(reserved.is_some(), verdict == "open", "{line}");
        for (scope, kind, most) in &limits {
            let (used, reserved) = match (kind, reserved) {
                (0, Some(_)) => (0, 1),
                (0, None) => continue,
                (_, Some((_, reserved))) => (amount(*kind, amounts), amount(*kind, reserved)),
                (_, None) => (amount(*kind, amounts), 0),
            };
            let count = self.count(scope, *kind, *most, now);
            count.taken = (count.taken + used - reserved).max(0);
        }
        false
    }
}

/// Calls three replicas for this time, with a store that hangs for a moment or does not. Returns
/// the number of calls that were admitted and the number of those that were refused.
async fn load(time: Duration, hangs: bool) -> (usize, usize) {
    let redis = RedisServer::with(&[
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--loglevel",
        "debug",
    ])
    .await;
    let key = key_of();
    let quota = Quota {
        open_streams: Some(8),
        requests_per_minute: Some(400),
        tokens_per_minute: Some(60_000),
        tokens_per_day: Some(200_000),
        ..Quota::default()
    };
    let store = if hangs {
        quick_store_at(redis.port(), OnStoreFailure::Deny)
    } else {
        store_at(redis.port(), OnStoreFailure::Deny)
    };
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(replica(store.clone(), &key, quota).await);
    }
    let end = Instant::now() + time;
    let clients = (0..CLIENTS).map(|client| {
        let (replica, key) = (&replicas[client % 3], &key);
        async move {
            let (mut total, mut admitted) = (0, 0);
            while Instant::now() < end {
                let answer = replica.stream(keyed(tokens(100), key)).await;
                if answer.end.is_ok() {
                    total += used(&answer);
                    admitted += 1;
                }
            }
            (total, admitted)
        }
    });
    let clients = futures_util::future::join_all(clients);
    let pause = async {
        if hangs {
            tokio::time::sleep(time / 3).await;
            redis.signal("STOP").await;
            tokio::time::sleep(time / 3).await;
            redis.signal("CONT").await;
        }
    };
    let (ended, ()) = tokio::join!(clients, pause);
    let total = ended.iter().map(|(total, _)| total).sum();
    let admitted: usize = ended.iter().map(|(_, admitted)| admitted).sum();
    counts(&redis, OPEN_STREAMS, 0).await;
    // What Bedrock billed is what the store has counted, to the token.
    counts(&redis, TOKENS_PER_DAY, total).await;
    let mut beyond = 0.0;
    for replica in &replicas {
        beyond += replica
            .metric("bedrock_grpc_tokens_beyond_reservation_total")
            .await;
    }
    assert_eq!(beyond, 0.0);

    let (mut model, mut granted, mut refused) = (Model::default(), 0, 0);
    let log = soon(redis.log_of("limits")).await;
    for line in &log {
        let is_granted = model.replay(line);
        granted += usize::from(is_granted);
        refused += usize::from(!is_granted && line.contains(" refused "));
    }
    assert!(model.open.is_empty(), "{:?}", model.open);
    if hangs {
        // Those that the store granted after the gateway had given up.
        assert!(granted >= admitted, "{granted} {admitted}");
    } else {
        assert_eq!(granted, admitted);
    }
    (granted, refused)
}

/// The length of the load in seconds. The variable sets a longer one.
fn seconds() -> u64 {
    let longer = std::env::var("EXACTNESS_SECONDS").ok();
    longer.map_or(3, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn every_decision_of_three_replicas_is_that_of_the_model() {
    let (granted, refused) = load(Duration::from_secs(seconds()), false).await;
    println!("{granted} granted, {refused} refused");
    assert!(granted > 10 && refused > 10, "{granted} {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn the_same_holds_for_a_store_that_hangs_in_between() {
    let (granted, refused) = load(Duration::from_secs(seconds()), true).await;
    println!("{granted} granted, {refused} refused");
    assert!(granted > 10, "{granted} {refused}");
}
