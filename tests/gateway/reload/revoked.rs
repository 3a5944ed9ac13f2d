//! Open calls of revoked credentials: they end at once if `access.on_revoke` is `cut`.

use std::time::Duration;

use bedrock_emulator::{Options, Pace};
use bedrock_grpc::access::key::Secret;
use jsonwebtoken::Algorithm;
use serde_json::json;
use tonic::Code;

use super::{RELOADED, Reloading, alias};
use crate::{
    harness::{
        KeyServer, MODEL, Stream, TokenKey, ask, bearer, but, claims, file, invoke, key_of,
        key_set, keyed, paced, sha256_of, soon,
    },
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

/// The number of tokens of each call with a token.
const TOKENS: usize = 200;

/// Opens a call with a token (JWT) for each of these, and reads its first tokens.
async fn open_with<const N: usize>(gateway: &Reloading, tokens: [&str; N]) -> [Stream; N] {
    let mut streams = Vec::new();
    for token in tokens {
        let mut stream = soon(gateway.open(bearer(ask("one"), token))).await;
        stream.tokens(2).await;
        streams.push(stream);
    }
    streams.try_into().ok().unwrap()
}

async fn is_cut(stream: Stream) {
    let answer = soon(stream.end()).await;
    assert_eq!(answer.code(), Code::Unauthenticated, "{answer:?}");
    assert_eq!(answer.details().reason(), "CALLER_UNAUTHENTICATED");
    let texts = answer.texts().count();
    assert!((2..TOKENS).contains(&texts), "{texts}");
}

async fn is_whole(stream: Stream) {
    let answer = stream.end().await;
    answer.is_whole();
    assert_eq!(answer.texts().count(), TOKENS);
}

fn slow() -> Options {
    Options {
        pace: paced(Duration::from_millis(20), TOKENS),
        ..Options::default()
    }
}

const CUT: &str = "open calls of revoked credentials were ended";

#[tokio::test]
async fn open_calls_with_tokens_are_cut_with_their_caller_or_issuer() {
    let key = TokenKey::new("a", Algorithm::ES256);
    let keys = file(&key_set(&[&key]).to_string());
    let (first, second) = ("https://login.example.com", "https://other.example.com");
    let with = |issuers: &[(&str, &str)], callers: &str| {
        let path = keys.path().display();
        let issuers: Vec<_> = issuers
            .iter()
            .map(|(name, more)| {
                format!(
                    "{{issuer: '{name}', audiences: [bedrock-grpc], jwks_file: '{path}'{more}}}"
                )
            })
            .collect();
        format!(
            "{}groups: {{all: {{}}}}\naccess: {{on_revoke: cut, jwt: [{}]}}\ncallers: {{{callers}}}\n",
            alias("one", MODEL),
            issuers.join(", ")
        )
    };
    let of = |issuer: &str, caller: &str| key.sign(&but(claims(caller), "iss", json!(issuer)));
    let (a, b, other) = (of(first, "a"), of(first, "b"), of(second, "b"));
    let (unlisted, d) = (of(second, "c"), of(second, "d"));
    let open_to_all = ", unlisted: {groups: [all]}";
    let all = with(&[(first, ""), (second, open_to_all)], "a: {}, b: {}, d: {}");
    let mut gateway = Reloading::with(&all, slow()).await;
    let tokens = [&a, &b, &other, &unlisted, &d].map(String::as_str);
    let [a, b, other, unlisted, d] = open_with(&gateway, tokens).await;
    // Two callers are removed. The second issuer would accept one of them as unlisted.
    let only_b = with(&[(first, ""), (second, open_to_all)], "b: {}");
    gateway.becomes(&only_b, CUT).await;
    is_cut(a).await;
    is_cut(d).await;
    // Then a caller of the second issuer must be configured.
    let listed_only = with(&[(first, ""), (second, "")], "b: {}");
    gateway.becomes(&listed_only, CUT).await;
    is_cut(unlisted).await;
    // One of two issuers is removed. The other one names the same caller.
    gateway.becomes(&with(&[(first, "")], "b: {}"), CUT).await;
    is_cut(other).await;
    is_whole(b).await;
}

#[tokio::test]
async fn open_calls_are_cut_with_the_audience_of_their_token() {
    let key = TokenKey::new("a", Algorithm::ES256);
    let keys = file(&key_set(&[&key]).to_string());
    let with = |audiences: &str| {
        format!(
            "{}access: {{on_revoke: cut, jwt: [{{issuer: 'https://login.example.com', audiences: [{audiences}], jwks_file: '{}'}}]}}\n\
             callers: {{a: {{}}}}\n",
            alias("one", MODEL),
            keys.path().display()
        )
    };
    let of = |audience: serde_json::Value| {
        let claims = but(claims("a"), "iss", json!("https://login.example.com"));
        key.sign(&but(claims, "aud", audience))
    };
    let mut gateway = Reloading::with(&with("one, two"), slow()).await;
    let (one, both) = (of(json!("one")), of(json!(["one", "two"])));
    let [one, both] = open_with(&gateway, [&one, &both]).await;
    gateway.becomes(&with("two, three"), CUT).await;
    is_cut(one).await;
    is_whole(both).await;
}

/// The token would now name another caller, although the caller of the open call is still
/// configured.
#[tokio::test]
async fn open_calls_are_cut_if_their_token_names_another_caller() {
    let key = TokenKey::new("a", Algorithm::ES256);
    let keys = file(&key_set(&[&key]).to_string());
    let with = |first: &str, callers: &str| {
        let path = keys.path().display();
        format!(
            "{}access: {{on_revoke: cut, jwt: [\
             {{issuer: 'https://login.example.com', audiences: [bedrock-grpc], jwks_file: '{path}'{first}}}, \
             {{issuer: 'https://other.example.com', audiences: [bedrock-grpc], jwks_file: '{path}'}}]}}\n\
             callers: {{{callers}}}\n",
            alias("one", MODEL)
        )
    };
    let of = |issuer: &str| key.sign(&but(claims("a"), "iss", json!(issuer)));
    let (first, second) = (
        of("https://login.example.com"),
        of("https://other.example.com"),
    );
    let callers = "'x/a': {}, 'y/a': {}, a: {}";
    let start = with(", caller_prefix: 'x/'", callers);
    let mut gateway = Reloading::with(&start, slow()).await;
    let [by_first, by_second] = open_with(&gateway, [&first, &second]).await;
    gateway
        .becomes(&with(", caller_prefix: 'y/'", callers), CUT)
        .await;
    is_cut(by_first).await;
    let [by_first] = open_with(&gateway, [&first]).await;
    let other_claim = ", caller_prefix: 'y/', caller_claim: email";
    gateway.becomes(&with(other_claim, callers), CUT).await;
    is_cut(by_first).await;
    is_whole(by_second).await;
}

#[tokio::test]
async fn open_calls_of_a_removed_service_account_are_cut() {
    let (server, key) = (
        KeyServer::start().await,
        TokenKey::new("a", Algorithm::ES256),
    );
    let document =
        json!({"issuer": "https://cluster.example", "jwks_uri": "https://10.0.0.1/keys"});
    server.serves("/.well-known/openid-configuration", &document);
    server.serves("/openid/v1/jwks", &key_set(&[&key]));
    let own = file("own-token\n");
    let with = |accounts: &str, unlisted: &str| {
        format!(
            "{}groups: {{all: {{}}}}\naccess: {{on_revoke: cut, kubernetes: {{audience: bedrock-grpc, api_server: '{}', token_file: '{}'{unlisted}}}}}\n\
             callers: {{chat: {{service_accounts: [{accounts}]}}}}\n",
            alias("one", MODEL),
            server.url(""),
            own.path().display()
        )
    };
    let of = |account: &str| {
        let name = format!("system:serviceaccount:apps:{account}");
        let claims = but(claims(&name), "iss", json!("https://cluster.example"));
        let names = json!({"namespace": "apps", "serviceaccount": {"name": account}});
        key.sign(&but(claims, "kubernetes.io", names))
    };
    let open_to_all = ", unlisted: {groups: [all]}";
    let all = with("apps/chat, apps/batch", open_to_all);
    let mut gateway = Reloading::with(&all, slow()).await;
    let tokens = ["chat", "batch", "other"].map(of);
    let [chat, batch, other] = open_with(&gateway, tokens.each_ref().map(String::as_str)).await;
    // Without an entry, the service account is another caller.
    gateway.becomes(&with("apps/chat", open_to_all), CUT).await;
    is_cut(batch).await;
    gateway.becomes(&with("apps/chat", ""), CUT).await;
    is_cut(other).await;
    is_whole(chat).await;
}
