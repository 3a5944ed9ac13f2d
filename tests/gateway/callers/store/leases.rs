//! A replica that is killed: the other replicas release its open calls.

use std::time::Duration;

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::config::{OnStoreFailure, Quota};

use super::{OPEN_STREAMS, TOKENS_PER_DAY, counted, counts, replica_of, tokens};
use crate::harness::{RedisServer, Serve, key_of, keyed, paced};

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn open_calls_of_a_killed_replica_are_released_and_charged_as_reserved() {
    let (redis, key) = (RedisServer::start().await, key_of());
    let hash: String = key.sha256().iter().map(|b| format!("{b:02x}")).collect();
    let sections = format!(
        "
targets: {{nova: {{model_id: 'amazon.nova-lite-v1:0'}}}}
limits: {{store: 'redis://127.0.0.1:{}', on_store_failure: deny, max_tokens: 5000}}
callers:
  team-a:
    keys: [{{sha256: '{hash}'}}]
    limits: {{open_streams: 1, tokens_per_day: 10000}}
",
        redis.port()
    );
    let emulator = Emulator::start(Options {
        pace: paced(Duration::from_millis(50), 1_000),
        ..Options::default()
    })
    .unwrap();
    let killed = Serve::with_keys(&emulator, &sections, &[]).await;
    let mut open = killed.open(keyed(tokens(1_000), &key)).await;
    open.tokens(1).await;
    let reserved = counted(&redis, TOKENS_PER_DAY).await;
    assert!((1_001..2_000).contains(&reserved), "{reserved}");
    assert_eq!(counted(&redis, OPEN_STREAMS).await, 1);
    killed.process.signal("KILL").await;
    drop(open);

    let quota = Quota {
        open_streams: Some(1),
        tokens_per_day: Some(10_000),
        ..Quota::default()
    };
    // Its lease has not lapsed yet.
    let early = replica_of(&redis, OnStoreFailure::Deny, &key, quota).await;
    let refused = early.stream(keyed(tokens(100), &key)).await;
    assert_eq!(refused.details().reason(), "CALLER_STREAM_LIMIT");
    // As if 15 s had passed for it.
    let leases: Vec<String> = redis.ask("ZRANGE {bedrock-grpc}:leases 0 0").await;
    let _: i64 = redis
        .ask(&format!("ZADD {{bedrock-grpc}}:leases 1 {}", leases[0]))
        .await;
    let late = replica_of(&redis, OnStoreFailure::Deny, &key, quota).await;
    counts(&redis, OPEN_STREAMS, 0).await;
    assert_eq!(counted(&redis, TOKENS_PER_DAY).await, reserved);
    late.stream(keyed(tokens(100), &key)).await.is_whole();
    let lapsed = "bedrock_grpc_limit_store_lapsed_reservations_total";
    let by_both = late.metric(lapsed).await + early.metric(lapsed).await;
    assert_eq!(by_both, 1.0);
}
