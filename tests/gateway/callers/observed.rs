//! What operators can see about callers: metrics, log lines and spans.

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::config::{GroupOptions, LimitsStore, Price, Quota, Rates};
use serde_json::Value;

use crate::harness::{
    Collector, Gateway, Serve, access_of, ask, faulty, key_of, keyed, sha256_of, soon,
};

async fn becomes(gateway: &Gateway, sample: &str, is_right: impl Fn(f64) -> bool) -> f64 {
    soon(async {
        loop {
            let value = gateway.metric(sample).await;
            if is_right(value) {
                return value;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn calls_tokens_and_cost_are_counted_by_caller() {
    let (a, b) = (key_of(), key_of());
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &a), ("team-b", &b)]);
        config.access.prices = vec![Price {
            models: vec!["*".to_owned()],
            rates: Rates {
                input: 1,
                output: 1,
                ..Rates::default()
            },
            ..Price::default()
        }];
    })
    .await;
    gateway.stream(keyed(ask("nova"), &a)).await.is_whole();
    gateway.stream(keyed(ask("nova"), &a)).await.is_whole();
    gateway
        .stream(keyed(faulty("throttling"), &b))
        .await
        .details();
    let calls = |labels: &str| format!("bedrock_grpc_caller_calls_total{{{labels}}}");
    assert_eq!(
        gateway.metric(&calls(r#"caller="team-a",code="OK""#)).await,
        2.0
    );
    let refused = calls(r#"caller="team-b",code="RESOURCE_EXHAUSTED""#);
    assert_eq!(gateway.metric(&refused).await, 1.0);
    let tokens = gateway
        .metric(r#"bedrock_grpc_caller_tokens_total{caller="team-a"}"#)
        .await;
    assert!(tokens > 0.0);
    assert_eq!(tokens, gateway.metric("bedrock_grpc_tokens_total").await);
    // Each token has the same price.
    let cost = r#"bedrock_grpc_caller_cost_nano_usd_total{caller="team-a"}"#;
    assert_eq!(gateway.metric(cost).await, tokens);
}

#[tokio::test]
async fn the_used_share_of_a_budget_is_a_metric() {
    let key = key_of();
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &key)]);
        config.access.store = LimitsStore::Memory;
        let quota = |tokens_per_day| Quota {
            tokens_per_day: Some(tokens_per_day),
            requests_per_minute: Some(100),
            ..Quota::default()
        };
        let group = GroupOptions {
            quota: quota(1_000_000),
            ..GroupOptions::default()
        };
        config.access.groups.insert("all".to_owned(), group);
        let caller = config.access.callers.get_mut("team-a").unwrap();
        caller.groups = vec!["all".to_owned()];
        caller.quota = quota(10_000);
        config.targets.policy.max_tokens = Some(5_000);
    })
    .await;
    gateway.stream(keyed(ask("nova"), &key)).await.is_whole();
    let tokens = gateway.metric("bedrock_grpc_tokens_total").await;
    let used = "bedrock_grpc_budget_used_ratio";
    let of_caller = format!(r#"{used}{{scope="caller",name="team-a",limit="tokens_per_day"}}"#);
    let share = becomes(&gateway, &of_caller, |share| share > 0.0).await;
    assert!((share - tokens / 10_000.0).abs() < 1e-9, "{share} {tokens}");
    let of_group = format!(r#"{used}{{scope="group",name="all",limit="tokens_per_day"}}"#);
    assert!((gateway.metric(&of_group).await - tokens / 1e6).abs() < 1e-9);
    // Limits of a minute are not budgets.
    assert_eq!(
        gateway
            .metric(&format!(r#"{used}{{limit="requests_per_minute"}}"#))
            .await,
        0.0
    );
}

#[tokio::test]
async fn the_caller_is_in_the_log_line_and_in_the_span() {
    let (collector, key) = (Collector::start().await, key_of());
    let emulator = Emulator::start(Options::default()).unwrap();
    let hash = sha256_of(&key);
    let sections = format!(
        "callers: {{team-a: {{keys: [{{sha256: '{hash}'}}]}}}}\ntraces: {{otlp_endpoint: '{}'}}",
        collector.endpoint()
    );
    let mut serve = Serve::with_keys(&emulator, &sections, &[]).await;
    let mut request = keyed(ask(crate::harness::MODEL), &key);
    let metadata = request.metadata_mut();
    metadata.insert("x-request-id", "known".parse().unwrap());
    serve.open(request).await.end().await.is_whole();
    let line = serve.process.logged("call ended").await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["caller"], "team-a");
    let spans = collector.call("known").await;
    assert_eq!(spans.call.attribute("enduser.id"), "team-a");
}
