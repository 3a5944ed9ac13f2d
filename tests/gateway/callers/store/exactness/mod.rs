//! Runs replicas as processes, under five times the load that the limits allow, while the store or
//! a replica fails. The store logs each decision, and a simple model replays the log.
//!
//! | variable | meaning |
//! |---|---|
//! | `EXACTNESS_SECONDS` | how long the load lasts; from 20, with 200 clients instead of 40 |
//! | `GATEWAY_BINARY` | the binary to test instead of the one of this build |

mod load;
mod model;

use std::time::Duration;

use bedrock_grpc::config::OnStoreFailure::{self, Allow, Deny, Local};

use self::{
    load::{Load, Seen, seconds},
    model::{Decision, Model, OPEN_STREAMS, Stored, TOKENS_PER_MONTH, USD_PER_MONTH},
};
use crate::harness::{RedisServer, soon};

/// The scope of all calls.
const ALL: &str = "group:all";
/// The maximum number of decisions at the end of the log that may be lost if the store is killed.
/// It has not acknowledged these.
const UNACKNOWLEDGED: usize = 300;

/// What the model has counted.
#[derive(Debug, Default)]
struct Tally {
    granted: u64,
    refused: u64,
    lapsed: u64,
}

impl Tally {
    fn count(&mut self, decision: Decision) {
        match decision {
            Decision::Granted => self.granted += 1,
            Decision::Refused => self.refused += 1,
            Decision::Lapsed => self.lapsed += 1,
            Decision::Settled => {}
        }
    }
}

fn replay(model: &mut Model, log: &[String]) -> Tally {
    let mut tally = Tally::default();
    for line in log {
        tally.count(model.replay(line));
    }
    tally
}

/// Checks that the store has counted what the model has, and what Bedrock has billed.
async fn counted(load: &Load, model: &Model, seen: &Seen) {
    assert_eq!(model.unsettled(), (0, 0));
    model.compare(&Stored::of(&load.redis).await).unwrap();
    assert_eq!(model.taken(ALL, OPEN_STREAMS), 0);
    let billed = load.billed().await;
    assert_eq!(billed.calls, seen.admitted);
    for (tokens, nano_usd) in [
        (billed.tokens, billed.nano_usd),
        (seen.tokens, seen.nano_usd),
    ] {
        assert_eq!(model.taken(ALL, TOKENS_PER_MONTH), tokens);
        assert_eq!(model.taken(ALL, USD_PER_MONTH), nano_usd);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn every_decision_of_three_replicas_is_that_of_the_model() {
    let load = Load::start(Deny, Duration::from_secs(5)).await;
    let seen = load.run(async {}).await;
    load.nothing_open().await;
    let mut model = Model::default();
    let tally = replay(&mut model, &soon(load.redis.log_of("limits")).await);
    println!("no trouble: {seen} {tally:?}");
    counted(&load, &model, &seen).await;
    assert_eq!(
        (tally.granted, tally.refused),
        (seen.admitted, seen.refused)
    );
    assert!(
        seen.refused > seen.admitted,
        "the load is more than the limits"
    );
    assert!(seen.admitted > 10);
    assert_eq!(seen.unavailable, 0);
    assert_eq!(load.beyond_reservations().await, 0.0);
}

/// Load with a store that has trouble in the second third of the time.
async fn with_trouble(
    policy: OnStoreFailure,
    name: &str,
    begin: impl AsyncFn(&RedisServer),
    end: impl AsyncFn(&RedisServer),
) {
    let load = Load::start(policy, Duration::from_millis(50)).await;
    let third = Duration::from_secs_f64(seconds() / 3.0).min(Duration::from_secs(5));
    let trouble = async {
        tokio::time::sleep(third).await;
        begin(&load.redis).await;
        tokio::time::sleep(third).await;
        end(&load.redis).await;
    };
    let seen = load.run(trouble).await;
    load.nothing_open().await;
    let mut model = Model::default();
    let tally = replay(&mut model, &soon(load.redis.log_of("limits")).await);
    println!("{name}, {policy:?}: {seen} {tally:?}");
    counted(&load, &model, &seen).await;
    load.decided_without_the_store(&seen).await;
    assert_eq!(load.beyond_reservations().await, 0.0);
}

async fn asked(redis: &RedisServer, command: &str) {
    let answer: String = redis.ask(command).await;
    assert_eq!(answer, "OK", "{command}");
}

/// With a short load, only one of the policies.
fn policies(short: OnStoreFailure) -> Vec<OnStoreFailure> {
    if load::is_short() {
        vec![short]
    } else {
        vec![Deny, Allow, Local]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_store_that_hangs_counts_exactly() {
    for policy in policies(Deny) {
        with_trouble(
            policy,
            "hangs",
            async |redis| redis.signal("STOP").await,
            async |redis| redis.signal("CONT").await,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_full_store_counts_exactly() {
    for policy in policies(Allow) {
        with_trouble(
            policy,
            "full",
            async |redis| asked(redis, "CONFIG SET maxmemory 1").await,
            async |redis| asked(redis, "CONFIG SET maxmemory 0").await,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_read_only_store_counts_exactly() {
    for policy in policies(Local) {
        with_trouble(
            policy,
            "read-only",
            async |redis| asked(redis, "REPLICAOF 127.0.0.1 1").await,
            async |redis| asked(redis, "REPLICAOF NO ONE").await,
        )
        .await;
    }
}

/// Replays the part of the log that the store had written when it was killed. Returns the model and
/// the number of lost lines.
async fn as_written(log: &[String], written: &RedisServer) -> (Model, usize) {
    let mut model = Model::default();
    let (sure, unsure) = log.split_at(log.len().saturating_sub(UNACKNOWLEDGED));
    replay(&mut model, sure);
    let mut prefixes = vec![model.clone()];
    for line in unsure {
        model.replay(line);
        prefixes.push(model.clone());
    }
    let written = Stored::of(written).await;
    let mut difference = String::new();
    for (lost, prefix) in prefixes.into_iter().rev().enumerate() {
        match prefix.compare(&written) {
            Ok(()) => return (prefix, lost),
            Err(error) => difference = error,
        }
    }
    panic!("no prefix of the log is what the store has written; {difference}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_store_that_is_killed_counts_exactly_after_its_restart() {
    for policy in policies(Deny) {
        let mut load = Load::start(policy, Duration::from_millis(50)).await;
        let third = Duration::from_secs_f64(seconds() / 3.0).min(Duration::from_secs(5));
        let running = load.begin();
        tokio::time::sleep(third).await;
        let log = load.redis.kill_and_read_log("limits").await;
        // A second server shows what the first one has written.
        let written = load.redis.copy().await;
        let (mut model, lost) = as_written(&log, &written).await;
        load.redis.restart().await;
        let seen = running.end().await;
        load.nothing_open().await;
        let tally = replay(&mut model, &soon(load.redis.log_of("limits")).await);
        println!(
            "killed, {policy:?}: {seen} {lost} of {} not written, then {tally:?}",
            log.len()
        );
        counted(&load, &model, &seen).await;
        load.decided_without_the_store(&seen).await;
    }
}

/// Ends the lease of a replica early, or waits until it has ended.
async fn lapses(load: &Load, replica: usize) {
    if load::is_short() {
        let leases = "{bedrock-grpc}:leases";
        let others: Vec<String> = load.redis.ask(&format!("ZRANGE {leases} 0 -1")).await;
        let id = load.lease_of(replica);
        assert!(others.contains(&id.to_owned()), "{id} {others:?}");
        let _: i64 = load.redis.ask(&format!("ZADD {leases} 1 {id}")).await;
    }
    soon(async {
        while load.lapsed(replica).await == 0.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_replica_that_pauses_is_charged_as_reserved_and_corrected_later() {
    let load = Load::start(Deny, Duration::from_secs(5)).await;
    let seen = load
        .run(async {
            load.has_open_calls(0).await;
            load.replicas[0].process.signal("STOP").await;
            lapses(&load, 0).await;
            load.replicas[0].process.signal("CONT").await;
        })
        .await;
    load.nothing_open().await;
    let mut model = Model::default();
    let tally = replay(&mut model, &soon(load.redis.log_of("limits")).await);
    println!("replica paused: {seen} {tally:?}");
    assert!(tally.lapsed > 0);
    // After all calls have ended, the counts are exact.
    counted(&load, &model, &seen).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_replica_that_is_killed_stays_charged_as_reserved() {
    let load = Load::start(Deny, Duration::from_secs(5)).await;
    let seen = load
        .run(async {
            load.has_open_calls(0).await;
            load.lose(0);
            load.replicas[0].process.signal("KILL").await;
            lapses(&load, 0).await;
        })
        .await;
    load.nothing_open().await;
    let mut model = Model::default();
    let tally = replay(&mut model, &soon(load.redis.log_of("limits")).await);
    println!("replica killed: {seen} {tally:?}");
    let (open, lapsed) = model.unsettled();
    assert_eq!(open, 0, "streams are released");
    assert!(lapsed > 0);
    // They are counted as estimates.
    soon(async {
        while load.lapsed(0).await != lapsed as f64 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    model.compare(&Stored::of(&load.redis).await).unwrap();
    assert_eq!(model.taken(ALL, OPEN_STREAMS), 0);
    // The charged amount is never less than what Bedrock has billed.
    let billed = load.billed().await;
    assert!(billed.calls >= seen.admitted);
    assert!(model.taken(ALL, TOKENS_PER_MONTH) >= billed.tokens);
    assert!(model.taken(ALL, USD_PER_MONTH) >= billed.nano_usd);
}
