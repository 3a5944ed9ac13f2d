//! A store that hangs, restarts, is full or read-only, or loses replies: no call hangs, and all
//! that calls use is counted once.

use std::time::{Duration, Instant};

use bedrock_grpc::{
    access::key::Secret,
    config::{LimitsStore, OnStoreFailure, Quota},
};
use tonic::Code;

use super::{
    OPEN_STREAMS, TOKENS_PER_DAY, counted, counts, replica, replica_of, slow_replica, tokens, used,
};
use crate::harness::{
    Answer, Gateway, LossyProxy, RedisServer, Stream, ask, key_of, keyed, quick_store_at, soon,
    store_at,
};

const POLICIES: [OnStoreFailure; 3] = [
    OnStoreFailure::Allow,
    OnStoreFailure::Deny,
    OnStoreFailure::Local,
];

/// Limits that no test reaches.
const WIDE: Quota = Quota {
    open_streams: Some(100),
    tokens_per_day: Some(1_000_000),
    requests_per_minute: None,
    tokens_per_minute: None,
    input_tokens_per_minute: None,
    output_tokens_per_minute: None,
    tokens_per_month: None,
    nano_usd_per_day: None,
    nano_usd_per_month: None,
};

/// Checks how a call ends while the store does not answer, and returns what it used.
#[track_caller]
fn as_configured(answer: &Answer, policy: OnStoreFailure) -> u64 {
    if policy == OnStoreFailure::Deny {
        assert_eq!(answer.code(), Code::Unavailable, "{answer:?}");
        assert_eq!(answer.details().reason(), "LIMIT_STORE_UNAVAILABLE");
        assert!(answer.details().retry().is_some());
        return 0;
    }
    used(answer)
}

/// Waits until calls use the store.
async fn available(gateway: &Gateway) {
    soon(async {
        while gateway.metric("bedrock_grpc_limit_store_available").await != 1.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits until a call that uses the store succeeds, and returns the tokens that it used. With a
/// time-out of 50 ms, a busy machine needs several tries.
async fn works(gateway: &Gateway, key: &Secret) -> u64 {
    soon(async {
        loop {
            available(gateway).await;
            let answer = gateway.stream(keyed(tokens(100), key)).await;
            if answer.code() == Code::Ok {
                return used(&answer);
            }
        }
    })
    .await
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_store_that_hangs_holds_up_no_call() {
    for policy in POLICIES {
        let (redis, key) = (RedisServer::start().await, key_of());
        let gateway = replica(quick_store_at(redis.port(), policy), &key, WIDE).await;
        let mut total = works(&gateway, &key).await;
        redis.signal("STOP").await;
        // Enough for the circuit breaker.
        for _ in 0..8 {
            let begun = Instant::now();
            let answer = gateway.stream(keyed(tokens(100), &key)).await;
            total += as_configured(&answer, policy);
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(2), "{took:?}");
        }
        assert_eq!(
            gateway.metric("bedrock_grpc_limit_store_available").await,
            0.0
        );
        redis.signal("CONT").await;
        total += works(&gateway, &key).await;
        // The store now executes the earlier commands. Each of them counts once, or not at all.
        counts(&redis, TOKENS_PER_DAY, total).await;
        counts(&redis, OPEN_STREAMS, 0).await;
        let timeouts =
            "bedrock_grpc_limit_store_failures_total{step=\"reserve\",reason=\"timeout\"}";
        assert!(gateway.metric(timeouts).await >= 5.0);
    }
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_restart_of_the_store_loses_nothing() {
    for policy in POLICIES {
        let (mut redis, key) = (RedisServer::start().await, key_of());
        let gateway = slow_replica(store_at(redis.port(), policy), &key, WIDE).await;
        let mut open = Stream::open(&mut gateway.inference(), keyed(tokens(100), &key)).await;
        open.tokens(1).await;
        counts(&redis, OPEN_STREAMS, 1).await;
        redis.kill().await;
        let answer = gateway.stream(keyed(tokens(100), &key)).await;
        let mut total = as_configured(&answer, policy);
        total += used(&soon(open.end()).await);
        redis.restart().await;
        total += works(&gateway, &key).await;
        counts(&redis, TOKENS_PER_DAY, total).await;
        counts(&redis, OPEN_STREAMS, 0).await;
    }
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_store_that_was_emptied_gets_what_was_settled_last_again() {
    let (mut redis, key) = (RedisServer::with(&[]).await, key_of());
    let gateway = replica_of(&redis, OnStoreFailure::Deny, &key, WIDE).await;
    let total = works(&gateway, &key).await + works(&gateway, &key).await;
    counts(&redis, TOKENS_PER_DAY, total).await;
    // Without an append-only file, the store loses all counts.
    redis.kill().await;
    redis.restart().await;
    let total = total + works(&gateway, &key).await;
    counts(&redis, TOKENS_PER_DAY, total).await;
    counts(&redis, OPEN_STREAMS, 0).await;
    let unreserved = "bedrock_grpc_limit_store_unreserved_settlements_total";
    assert_eq!(gateway.metric(unreserved).await, 2.0);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_full_store_still_settles() {
    for policy in POLICIES {
        let (redis, key) = (RedisServer::start().await, key_of());
        let gateway = slow_replica(store_at(redis.port(), policy), &key, WIDE).await;
        let mut open = Stream::open(&mut gateway.inference(), keyed(tokens(100), &key)).await;
        open.tokens(1).await;
        let _: String = redis.ask("CONFIG SET maxmemory 1").await;
        let answer = gateway.stream(keyed(tokens(100), &key)).await;
        let mut total = as_configured(&answer, policy);
        total += used(&soon(open.end()).await);
        counts(&redis, TOKENS_PER_DAY, total).await;
        counts(&redis, OPEN_STREAMS, 0).await;
        let full = "bedrock_grpc_limit_store_failures_total{step=\"reserve\",reason=\"full\"}";
        assert!(gateway.metric(full).await >= 1.0);
        let _: String = redis.ask("CONFIG SET maxmemory 0").await;
        total += works(&gateway, &key).await;
        counts(&redis, TOKENS_PER_DAY, total).await;
    }
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_read_only_store_is_one_that_does_not_answer() {
    let (redis, key) = (RedisServer::start().await, key_of());
    let gateway = replica_of(&redis, OnStoreFailure::Allow, &key, WIDE).await;
    let mut total = works(&gateway, &key).await;
    let _: String = redis.ask("REPLICAOF 127.0.0.1 1").await;
    for _ in 0..3 {
        total += used(&gateway.stream(keyed(tokens(100), &key)).await);
    }
    let without = "bedrock_grpc_limit_store_without_total{policy=\"allow\"}";
    assert_eq!(gateway.metric(without).await, 3.0);
    let _: String = redis.ask("REPLICAOF NO ONE").await;
    total += works(&gateway, &key).await;
    counts(&redis, TOKENS_PER_DAY, total).await;
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_store_that_forgot_the_scripts_gets_them_again() {
    let (redis, key) = (RedisServer::start().await, key_of());
    let gateway = slow_replica(store_at(redis.port(), OnStoreFailure::Deny), &key, WIDE).await;
    let mut open = Stream::open(&mut gateway.inference(), keyed(tokens(100), &key)).await;
    open.tokens(1).await;
    let _: String = redis.ask("SCRIPT FLUSH").await;
    // The settlement of this call loads a script, and the reservation of the next call loads
    // another one.
    let total = used(&soon(open.end()).await);
    counts(&redis, TOKENS_PER_DAY, total).await;
    let total = total + used(&gateway.stream(keyed(tokens(100), &key)).await);
    counts(&redis, TOKENS_PER_DAY, total).await;
    let without = "bedrock_grpc_limit_store_without_total";
    assert_eq!(gateway.metric(without).await, 0.0);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_reply_that_is_lost_counts_once() {
    let (redis, key) = (RedisServer::start().await, key_of());
    let proxy = LossyProxy::before(redis.port()).await;
    let store = store_at(proxy.address.port(), OnStoreFailure::Allow);
    let gateway = slow_replica(store, &key, WIDE).await;
    available(&gateway).await;
    // The store has made a reservation, but the gateway has not received the reply.
    proxy.lose_the_next_reply();
    let mut total = used(&gateway.stream(keyed(tokens(100), &key)).await);
    counts(&redis, TOKENS_PER_DAY, total).await;
    counts(&redis, OPEN_STREAMS, 0).await;
    // Of a settlement.
    available(&gateway).await;
    let mut open = Stream::open(&mut gateway.inference(), keyed(tokens(100), &key)).await;
    open.tokens(1).await;
    proxy.lose_the_next_reply();
    total += used(&soon(open.end()).await);
    total += works(&gateway, &key).await;
    counts(&redis, TOKENS_PER_DAY, total).await;
    counts(&redis, OPEN_STREAMS, 0).await;
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn without_a_store_each_replica_has_its_share() {
    let (mut redis, key) = (RedisServer::start().await, key_of());
    redis.kill().await;
    let mut store = store_at(redis.port(), OnStoreFailure::Local);
    if let LimitsStore::Redis(store) = &mut store {
        store.replicas = Some(2);
    }
    let quota = Quota {
        requests_per_minute: Some(5),
        ..WIDE
    };
    let gateway = replica(store, &key, quota).await;
    let mut total = 0;
    for _ in 0..2 {
        total += used(&gateway.stream(keyed(tokens(100), &key)).await);
    }
    let refused = gateway.stream(keyed(ask("nova"), &key)).await;
    assert_eq!(refused.details().reason(), "CALLER_RATE_LIMIT");
    // When the store is available again, it counts the usage of the calls in the meantime.
    redis.restart().await;
    counts(&redis, TOKENS_PER_DAY, total).await;
    total += works(&gateway, &key).await;
    counts(&redis, TOKENS_PER_DAY, total).await;
    assert!(counted(&redis, 1).await <= 3 * 60_000);
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_store_that_evicts_counts_is_reported() {
    for (policy, expected) in [("allkeys-lru", 1.0), ("volatile-lru", 0.0)] {
        let redis =
            RedisServer::with(&["--maxmemory", "100mb", "--maxmemory-policy", policy]).await;
        let key = key_of();
        let gateway = replica_of(&redis, OnStoreFailure::Deny, &key, WIDE).await;
        available(&gateway).await;
        let evicts = gateway.metric("bedrock_grpc_limit_store_evicts").await;
        assert_eq!(evicts, expected, "{policy}");
    }
}
