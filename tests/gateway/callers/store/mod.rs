//! Limits whose counts are in Redis, for all replicas together.

mod exactness;
mod failures;
mod leases;
mod secure;
mod shared;

use std::time::Duration;

use bedrock_emulator::Pace;
use bedrock_grpc::{
    access::key::Secret,
    config::{LimitsStore, OnStoreFailure, Quota},
    pb::{InferenceConfiguration, StreamInvokeRequest},
};

use tonic::metadata::MetadataMap;

use crate::harness::{Answer, Gateway, RedisServer, access_of, ask, paced, soon, store_at};

/// The key of what the caller `team-a` has used.
const COUNTS: &str = "{bedrock-grpc}:caller:team-a";
/// The numbers of limits in it.
const OPEN_STREAMS: usize = 0;
const TOKENS_PER_DAY: usize = 5;

/// A replica whose caller `team-a` has this key and this quota, counted in this store.
async fn replica(store: LimitsStore, key: &Secret, quota: Quota) -> Gateway {
    replica_at(store, key, quota, paced(Duration::ZERO, 5)).await
}

/// The same with answers that take about a second.
async fn slow_replica(store: LimitsStore, key: &Secret, quota: Quota) -> Gateway {
    replica_at(store, key, quota, paced(Duration::from_millis(20), 50)).await
}

async fn replica_at(store: LimitsStore, key: &Secret, quota: Quota, pace: Pace) -> Gateway {
    Gateway::with(|config, options| {
        config.access = access_of(&[("team-a", key)]);
        config.access.store = store;
        config.access.callers.get_mut("team-a").unwrap().quota = quota;
        config.targets.policy.max_tokens = Some(20_000);
        options.pace = pace;
    })
    .await
}

/// The same with the server itself.
async fn replica_of(
    redis: &RedisServer,
    on_failure: OnStoreFailure,
    key: &Secret,
    quota: Quota,
) -> Gateway {
    replica(store_at(redis.port(), on_failure), key, quota).await
}

/// A request for at most this many tokens.
fn tokens(most: i32) -> StreamInvokeRequest {
    let mut request = ask("nova");
    let input = request.input.as_mut().unwrap();
    input.inference_config = Some(InferenceConfiguration {
        max_tokens: Some(most),
        ..InferenceConfiguration::default()
    });
    request
}

/// The tokens that a call used, as Bedrock reported them.
fn used(answer: &Answer) -> u64 {
    answer.is_whole();
    let usage = answer.events().find_map(|event| match event {
        bedrock_grpc::pb::stream_invoke_response::Event::Metadata(event) => {
            event.metadata.as_ref()?.usage.clone()
        }
        _ => None,
    });
    u64::try_from(usage.unwrap().total_tokens.unwrap()).unwrap()
}

/// What the store has counted of a limit of `team-a`.
async fn counted(redis: &RedisServer, kind: usize) -> u64 {
    let value: Option<String> = redis.ask(&format!("HGET {COUNTS} {kind}")).await;
    value.map_or(0, |value| value.split_once(' ').unwrap().0.parse().unwrap())
}

/// Waits until the store has counted this.
async fn counts(redis: &RedisServer, kind: usize, expected: u64) {
    soon(async {
        while counted(redis, kind).await != expected {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A number in headers or trailers.
fn number(map: &MetadataMap, name: &str) -> u64 {
    let value = map.get(name);
    let value = value.unwrap_or_else(|| panic!("no {name} in {map:?}"));
    value.to_str().unwrap().parse().unwrap()
}
