//! Open calls of revoked credentials: they end at once if `access.on_revoke` is `cut`.

use std::time::Duration;

use bedrock_emulator::{Options, Pace};
use bedrock_grpc::access::key::Secret;
use tonic::Code;

use super::{RELOADED, Reloading, alias};
use crate::{
    harness::{MODEL, ask, invoke, key_of, keyed, paced, sha256_of, soon},
    usage::records::Records,
};

/// The configuration with these callers, each with one key.
fn with(access: &str, callers: &[(&str, &Secret)], records: &Records) -> String {
    let callers: Vec<_> = callers
        .iter()
        .map(|(name, key)| format!("{name}: {{keys: [{{sha256: {}}}]}}", sha256_of(key)))
        .collect();
    format!(
        "{}access: {{{access}}}\ncallers: {{{}}}\nusage_records: {{file: '{}'}}\n",
        alias("one", MODEL),
        callers.join(", "),
        records.path().display()
    )
}

#[tokio::test]
async fn open_calls_of_a_removed_caller_are_cut() {
    let options = Options {
        pace: paced(Duration::from_millis(20), 300),
        ..Options::default()
    };
    let (a, b, mut records) = (key_of(), key_of(), Records::create());
    let cut = "on_revoke: cut";
    let both = with(cut, &[("a", &a), ("b", &b)], &records);
    let mut gateway = Reloading::with(&both, options).await;
    let mut revoked = gateway.open(keyed(ask("one"), &a)).await;
    let mut kept = gateway.open(keyed(ask("one"), &b)).await;
    revoked.tokens(2).await;
    kept.tokens(2).await;

    let only_b = with(cut, &[("b", &b)], &records);
    gateway
        .becomes(&only_b, "open calls of revoked credentials were ended")
        .await;
    let answer = soon(revoked.end()).await;
    assert_eq!(answer.code(), Code::Unauthenticated);
    let details = answer.details();
    assert_eq!(details.reason(), "CALLER_UNAUTHENTICATED");
    assert_eq!(details.phase(), "mid-stream");
    let tokens = answer.texts().count();
    assert!((2..300).contains(&tokens), "{tokens}");

    let record = records.next().await;
    assert_eq!(record["caller"], "a");
    assert_eq!(record["code"], "UNAUTHENTICATED");
    assert_eq!(record["reason"], "CALLER_UNAUTHENTICATED");
    assert_eq!(record["usage"], "estimated");
    assert!(record["input_tokens"].as_u64() > Some(0), "{record}");
    assert!(
        record["output_tokens"].as_u64() >= Some(tokens as u64),
        "{record}"
    );
    // The call to Bedrock was closed, the other one runs to its end.
    soon(
        gateway
            .emulator
            .wait_for(|calls| calls.iter().filter(|call| call.end.is_some()).count() == 1),
    )
    .await;
    let answer = kept.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), 300);
    assert_eq!(records.next().await["caller"], "b");
}

/// A key is replaced, and a call waits for its first event. A call with the new key continues.
#[tokio::test]
async fn a_call_that_waits_for_bedrock_is_cut_with_its_key() {
    let options = Options {
        pace: Pace {
            time_to_first_token: Duration::from_secs(3_600),
            ..Pace::default()
        },
        ..Options::default()
    };
    let (old, new, mut records) = (key_of(), key_of(), Records::create());
    let cut = "on_revoke: cut";
    let start = with(cut, &[("a", &old)], &records);
    let mut gateway = Reloading::with(&start, options).await;
    let mut client = gateway.client().await;
    let waiting = keyed(invoke(ask("one")), &old);
    let call = tokio::spawn(async move { client.invoke(waiting).await });
    soon(gateway.emulator.wait_for(|calls| calls.len() == 1)).await;
    gateway
        .becomes(&with(cut, &[("a", &new)], &records), RELOADED)
        .await;
    let status = soon(call).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("was revoked"), "{status}");
    assert_eq!(records.next().await["code"], "UNAUTHENTICATED");
    soon(gateway.emulator.wait_for(|calls| calls[0].end.is_some())).await;
}

#[tokio::test]
async fn open_calls_of_a_revoked_key_finish_by_default() {
    let options = Options {
        pace: paced(Duration::from_millis(20), 100),
        ..Options::default()
    };
    let (a, b, records) = (key_of(), key_of(), Records::create());
    let both = with("", &[("a", &a), ("b", &b)], &records);
    let mut gateway = Reloading::with(&both, options).await;
    let mut stream = gateway.open(keyed(ask("one"), &a)).await;
    stream.tokens(2).await;
    gateway
        .becomes(&with("", &[("b", &b)], &records), RELOADED)
        .await;
    let refused = gateway.stream(keyed(ask("one"), &a)).await;
    assert_eq!(refused.code(), Code::Unauthenticated);
    let answer = stream.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), 100);
}
