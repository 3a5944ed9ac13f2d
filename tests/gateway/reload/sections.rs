//! Sections of the configuration that take effect with a reload: accounts, prices, issuers of
//! tokens, and the share of traced calls.

use bedrock_grpc::pb::stream_invoke_response::Event;
use jsonwebtoken::Algorithm;
use tonic::Code;

use super::{REFUSED, RELOADED, Reloading, alias};
use crate::harness::{Answer, Collector, MODEL, TokenKey, ask, bearer, claims, file, key_set};

/// The account of the last call of the emulator.
fn account(gateway: &Reloading) -> String {
    let calls = gateway.emulator.calls();
    let call = calls
        .iter()
        .rev()
        .find(|call| call.operation == "ConverseStream");
    call.unwrap().account.clone()
}

#[tokio::test]
async fn accounts_change_without_a_restart() {
    let with = |accounts: &[(&str, &str)], name: &str| {
        let accounts: Vec<_> = accounts
            .iter()
            .map(|(name, id)| format!("{name}: {{role_arn: 'arn:aws:iam::{id}:role/bedrock'}}"))
            .collect();
        format!(
            "accounts: {{{}}}\ntargets: {{one: {{model_id: '{MODEL}', account: {name}}}}}\n",
            accounts.join(", ")
        )
    };
    let (first, second) = (("first", "111122223333"), ("second", "444455556666"));
    let mut gateway = Reloading::start(&with(&[first], "first")).await;
    gateway.stream(ask("one")).await.is_whole();
    assert_eq!(account(&gateway), "111122223333");
    // Another account instead.
    gateway.becomes(&with(&[second], "second"), RELOADED).await;
    gateway.stream(ask("one")).await.is_whole();
    assert_eq!(account(&gateway), "444455556666");
    // The same name has another role.
    let moved = [("second", "777788889999")];
    gateway.becomes(&with(&moved, "second"), RELOADED).await;
    gateway.stream(ask("one")).await.is_whole();
    assert_eq!(account(&gateway), "777788889999");
    // A route to an account that does not exist changes nothing.
    let line = gateway.becomes(&with(&[second], "first"), REFUSED).await;
    assert!(line.contains("first"), "{line}");
    gateway.stream(ask("one")).await.is_whole();
    assert_eq!(account(&gateway), "777788889999");
    // Without an account, the gateway's own identity is used. The operator must allow that.
    let line = gateway.becomes(&alias("one", MODEL), REFUSED).await;
    assert!(line.contains("targets.one.account: "), "{line}");
    let allowed = format!("allow_weaker: true\n{}", alias("one", MODEL));
    gateway.becomes(&allowed, RELOADED).await;
    gateway.stream(ask("one")).await.is_whole();
    assert_eq!(account(&gateway), "123456789012");
}

/// The cost of a call, in 1e-9 US dollars, and its tokens.
fn cost(answer: &Answer) -> (Option<i64>, i64) {
    answer.is_whole();
    let metadata = answer.events().find_map(|event| match event {
        Event::Metadata(metadata) => Some(metadata),
        _ => None,
    });
    let metadata = metadata.unwrap();
    let usage = metadata.metadata.as_ref().unwrap().usage.as_ref().unwrap();
    (
        metadata.estimated_cost.map(|cost| cost.nano_usd),
        i64::from(usage.input_tokens() + usage.output_tokens()),
    )
}

#[tokio::test]
async fn prices_change_without_a_restart() {
    let with = |price: u32| {
        format!(
            "{}prices: [{{models: ['*'], input: {price}, output: {price}}}]\n",
            alias("one", MODEL)
        )
    };
    let mut gateway = Reloading::start(&alias("one", MODEL)).await;
    assert_eq!(cost(&gateway.stream(ask("one")).await).0, None);
    for price in [3, 5_000] {
        gateway.becomes(&with(price), RELOADED).await;
        let (cost, tokens) = cost(&gateway.stream(ask("one")).await);
        assert!(tokens > 0);
        assert_eq!(cost, Some(tokens * i64::from(price)));
    }
    gateway.becomes(&alias("one", MODEL), RELOADED).await;
    assert_eq!(cost(&gateway.stream(ask("one")).await).0, None);
}

#[tokio::test]
async fn issuers_of_tokens_change_without_a_restart() {
    let (old, new) = (
        TokenKey::new("old", Algorithm::ES256),
        TokenKey::new("new", Algorithm::ES256),
    );
    let (old_keys, new_keys) = (
        file(&key_set(&[&old]).to_string()),
        file(&key_set(&[&new]).to_string()),
    );
    let with = |issuers: &[&tempfile::NamedTempFile], more: &str| {
        let names = ["https://login.example.com", "https://other.example.com"];
        let issuers: Vec<_> = issuers
            .iter()
            .zip(names)
            .map(|(keys, name)| {
                let path = keys.path().display();
                format!("{{issuer: '{name}', audiences: [bedrock-grpc], jwks_file: '{path}'}}")
            })
            .collect();
        format!(
            "{}callers: {{team-a: {{}}}}\naccess: {{jwt: [{}]}}\n{more}",
            alias("one", MODEL),
            issuers.join(", ")
        )
    };
    let mut gateway = Reloading::start(&with(&[&old_keys], "")).await;
    let (by_old, by_new) = (old.sign(&claims("team-a")), new.sign(&claims("team-a")));
    gateway.stream(bearer(ask("one"), &by_old)).await.is_whole();
    let refused = gateway.stream(bearer(ask("one"), &by_new)).await;
    assert_eq!(refused.code(), Code::Unauthenticated);
    // The issuer has another key, and there is a second issuer.
    let changed = with(&[&new_keys, &old_keys], "");
    gateway.becomes(&changed, RELOADED).await;
    gateway.stream(bearer(ask("one"), &by_new)).await.is_whole();
    let refused = gateway.stream(bearer(ask("one"), &by_old)).await;
    assert_eq!(refused.code(), Code::Unauthenticated);
    let other = crate::harness::but(claims("team-a"), "iss", "https://other.example.com".into());
    gateway
        .stream(bearer(ask("one"), &old.sign(&other)))
        .await
        .is_whole();
    // No issuer is left.
    gateway.becomes(&with(&[], ""), RELOADED).await;
    for token in [&by_old, &by_new, &old.sign(&other)] {
        let refused = gateway.stream(bearer(ask("one"), token)).await;
        assert_eq!(refused.code(), Code::Unauthenticated);
    }
}

/// The share of traced calls rises and falls. Open spans keep their collector.
#[tokio::test]
async fn the_share_of_traced_calls_changes_without_a_restart() {
    let collector = Collector::start().await;
    let with = |ratio: u32| {
        format!(
            "{}traces: {{otlp_endpoint: '{}', sample_ratio: {ratio}}}\n",
            alias("one", MODEL),
            collector.endpoint()
        )
    };
    let mut gateway = Reloading::start(&with(0)).await;
    let mut traced = Vec::new();
    for (number, ratio) in [0, 1, 0, 1].into_iter().enumerate() {
        if number > 0 {
            let line = gateway.becomes(&with(ratio), RELOADED).await;
            assert!(line.contains("traces.sample_ratio"), "{line}");
        }
        gateway.stream(ask("one")).await.is_whole();
        let calls = gateway.emulator.calls();
        let parent = calls[number].header("traceparent").unwrap().to_owned();
        let parts: Vec<_> = parent.split('-').map(str::to_owned).collect();
        assert_eq!(parts[3] == "01", ratio == 1, "{parent}");
        if ratio == 1 {
            traced.push(parts[1].clone());
        }
    }
    // At the end, the gateway sends the spans that it has not sent yet.
    gateway.process.terminate().await;
    assert_eq!(gateway.process.end().await.code, Some(0));
    let spans = collector.spans(|_| true).await;
    let mut traces: Vec<_> = spans.into_iter().map(|span| span.trace_id).collect();
    traces.sort();
    traces.dedup();
    traced.sort();
    assert_eq!(traces, traced);
}
