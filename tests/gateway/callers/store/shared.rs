//! Replicas that share counts.

use bedrock_grpc::{
    config::{GroupOptions, OnStoreFailure, Quota},
    pb::stream_invoke_response::Event,
};
use tonic::Code;

use super::{
    COUNTS, OPEN_STREAMS, TOKENS_PER_DAY, counted, counts, number, replica_of, slow_replica,
    tokens, used,
};
use crate::harness::{Gateway, RedisServer, Stream, access_of, ask, key_of, keyed, soon, store_at};

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn two_replicas_admit_as_many_calls_as_one() {
    let (redis, key) = (RedisServer::start().await, key_of());
    let quota = Quota {
        requests_per_minute: Some(3),
        ..Quota::default()
    };
    let a = replica_of(&redis, OnStoreFailure::Deny, &key, quota).await;
    let b = replica_of(&redis, OnStoreFailure::Deny, &key, quota).await;
    for (gateway, left) in [(&a, 2), (&b, 1), (&a, 0)] {
        let answer = gateway.stream(keyed(ask("nova"), &key)).await;
        answer.is_whole();
        assert_eq!(
            number(&answer.headers, "x-ratelimit-remaining-requests"),
            left
        );
    }
    for gateway in [&a, &b] {
        let refused = gateway.stream(keyed(ask("nova"), &key)).await;
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.details().reason(), "CALLER_RATE_LIMIT");
        let retry = refused.details().retry().unwrap().retry_delay.unwrap();
        assert!((1..=20).contains(&retry.seconds), "{retry:?}");
    }
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn an_open_call_holds_its_place_on_all_replicas() {
    let (redis, key) = (RedisServer::start().await, key_of());
    let quota = Quota {
        open_streams: Some(1),
        ..Quota::default()
    };
    let store = store_at(redis.port(), OnStoreFailure::Deny);
    let a = slow_replica(store, &key, quota).await;
    let b = replica_of(&redis, OnStoreFailure::Deny, &key, quota).await;
    let mut open = Stream::open(&mut a.inference(), keyed(ask("nova"), &key)).await;
    open.tokens(1).await;
    let refused = b.stream(keyed(ask("nova"), &key)).await;
    assert_eq!(refused.details().reason(), "CALLER_STREAM_LIMIT");
    assert_eq!(counted(&redis, OPEN_STREAMS).await, 1);
    drop(open);
    counts(&redis, OPEN_STREAMS, 0).await;
    b.stream(keyed(ask("nova"), &key)).await.is_whole();
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn tokens_are_charged_as_bedrock_counts_them() {
    let (redis, key) = (RedisServer::start().await, key_of());
    let quota = Quota {
        tokens_per_day: Some(10_000),
        ..Quota::default()
    };
    let a = replica_of(&redis, OnStoreFailure::Deny, &key, quota).await;
    let b = replica_of(&redis, OnStoreFailure::Deny, &key, quota).await;
    let mut total = 0;
    for gateway in [&a, &b, &a] {
        let mut client = gateway.inference();
        let response = soon(client.stream_invoke(keyed(tokens(1_000), &key)))
            .await
            .unwrap();
        let mut messages = response.into_inner();
        while let Some(message) = soon(messages.message()).await.unwrap() {
            if let Some(Event::Metadata(event)) = message.event {
                let usage = event.metadata.unwrap().usage.unwrap();
                total += u64::try_from(usage.total_tokens.unwrap()).unwrap();
            }
        }
        counts(&redis, TOKENS_PER_DAY, total).await;
        // The trailers contain what this call used.
        let trailers = soon(messages.trailers()).await.unwrap().unwrap();
        assert_eq!(
            number(&trailers, "x-ratelimit-remaining-tokens"),
            10_000 - total
        );
    }
    let refused = b.stream(keyed(tokens(9_990), &key)).await;
    assert_eq!(refused.details().reason(), "CALLER_BUDGET_EXHAUSTED");
    assert_eq!(counted(&redis, TOKENS_PER_DAY).await, total);
    assert_eq!(a.metric("bedrock_grpc_limit_store_available").await, 1.0);
    for step in ["reserve", "settle"] {
        let count = format!("bedrock_grpc_limit_store_seconds_count{{step=\"{step}\"}}");
        assert!(a.metric(&count).await >= 1.0, "{step}");
    }
    assert_eq!(
        a.metric("bedrock_grpc_limit_store_unreserved_settlements_total")
            .await,
        0.0
    );
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn the_end_of_a_replica_settles_everything() {
    let (redis, key) = (RedisServer::start().await, key_of());
    let quota = Quota {
        tokens_per_day: Some(10_000),
        open_streams: Some(9),
        ..Quota::default()
    };
    let mut gateway = replica_of(&redis, OnStoreFailure::Deny, &key, quota).await;
    let total = used(&gateway.stream(keyed(tokens(100), &key)).await);
    gateway.stop.drain.cancel();
    gateway.finished().await;
    assert_eq!(counted(&redis, TOKENS_PER_DAY).await, total);
    assert_eq!(counted(&redis, OPEN_STREAMS).await, 0);
    let left: Vec<String> = redis.ask("KEYS *").await;
    assert_eq!(left, [COUNTS], "no lease and no reservation is left");
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_group_is_counted_over_its_callers_and_all_or_nothing() {
    let (redis, a, b) = (RedisServer::start().await, key_of(), key_of());
    let two = Quota {
        requests_per_minute: Some(2),
        ..Quota::default()
    };
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &a), ("team-b", &b)]);
        config.access.store = store_at(redis.port(), OnStoreFailure::Deny);
        config.access.groups.insert(
            "all".to_owned(),
            GroupOptions {
                quota: two,
                ..GroupOptions::default()
            },
        );
        for caller in config.access.callers.values_mut() {
            caller.groups = vec!["all".to_owned()];
            caller.quota = Quota {
                requests_per_minute: Some(100),
                ..Quota::default()
            };
        }
    })
    .await;
    gateway.stream(keyed(ask("nova"), &a)).await.is_whole();
    gateway.stream(keyed(ask("nova"), &b)).await.is_whole();
    let refused = gateway.stream(keyed(ask("nova"), &a)).await;
    let violation = refused.details().quota().unwrap().violations.remove(0);
    assert_eq!(violation.subject, "group:all");
    // The refused call is not counted in its caller's own limit. The only earlier call counts as
    // 60,000 units, minus what has been refilled.
    let own = counted(&redis, 1).await;
    assert!(own <= 60_000, "{own}");
}

/// How often the store has executed this command since its statistics were reset.
fn executed(statistics: &str, command: &str) -> u64 {
    let prefix = format!("cmdstat_{command}:calls=");
    let line = statistics
        .lines()
        .find_map(|line| line.strip_prefix(&prefix));
    line.map_or(0, |rest| rest.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn a_call_costs_one_round_trip_before_and_one_after() {
    const CALLS: u64 = 20;
    let (redis, key) = (RedisServer::start().await, key_of());
    // Scopes and limits do not add round trips.
    let quota = Quota {
        open_streams: Some(50),
        requests_per_minute: Some(1_000),
        tokens_per_minute: Some(1_000_000),
        tokens_per_day: Some(1_000_000),
        tokens_per_month: Some(1_000_000),
        ..Quota::default()
    };
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &key)]);
        config.access.store = store_at(redis.port(), OnStoreFailure::Deny);
        let groups = &mut config.access.groups;
        groups.insert(
            "all".to_owned(),
            GroupOptions {
                quota,
                ..GroupOptions::default()
            },
        );
        let caller = config.access.callers.get_mut("team-a").unwrap();
        caller.groups = vec!["all".to_owned()];
        caller.quota = quota;
    })
    .await;
    // The first call loads the scripts.
    let mut total = used(&gateway.stream(keyed(tokens(10), &key)).await);
    counts(&redis, TOKENS_PER_DAY, total).await;
    let _: String = redis.ask("CONFIG RESETSTAT").await;
    for _ in 0..CALLS {
        total += used(&gateway.stream(keyed(tokens(10), &key)).await);
    }
    counts(&redis, TOKENS_PER_DAY, total).await;
    let statistics: String = redis.ask("INFO commandstats").await;
    // The gateway looks for lapsed leases only when it renews its own lease, every 5 s. Wait for
    // two renewals.
    let renewals = executed(&statistics, "zrangebyscore") / 2;
    let scripts = executed(&statistics, "evalsha");
    assert_eq!(scripts, 2 * CALLS + renewals, "{statistics}");
    assert_eq!(executed(&statistics, "eval"), 0, "{statistics}");
}
