//! Tokens (JWT): which calls they authenticate, and as whom.

use std::time::Instant;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bedrock_grpc::{
    config::{
        Access, CallerOptions, GroupOptions, KeySetLocation, Quota, SignatureAlgorithm, Unlisted,
    },
    pb::{CredentialKind, GetLimitsRequest, limits_service_client::LimitsServiceClient},
};
use http::Request;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tonic::Code;

use crate::harness::{
    Answer, Frame, Gateway, RawCall, STREAM_INVOKE, TokenKey, ask, bearer, but, claims, file,
    issuer, key_of, key_options, key_set, keyed, seconds,
};

/// A gateway that has the caller team-a, and trusts an issuer with these keys in a file.
struct Tokens {
    gateway: Gateway,
    _keys: NamedTempFile,
}

impl Tokens {
    async fn of(keys: &[&TokenKey]) -> Self {
        Self::with(keys, |_| {}).await
    }

    async fn with(keys: &[&TokenKey], change: impl FnOnce(&mut Access)) -> Self {
        let keys = file(&key_set(keys).to_string());
        let gateway = Gateway::with(|config, _| {
            let access = &mut config.access;
            access.required = true;
            let location = KeySetLocation::File(keys.path().to_owned());
            access.jwt.push(issuer(location));
            let caller = CallerOptions::default();
            access.callers.insert("team-a".to_owned(), caller);
            change(access);
        })
        .await;
        Self {
            gateway,
            _keys: keys,
        }
    }

    async fn call(&self, token: &str) -> Answer {
        self.gateway.stream(bearer(ask("nova"), token)).await
    }

    /// Calls that are refused for this reason.
    async fn refused(&self, reason: &str) -> f64 {
        let name = "bedrock_grpc_authentication_failures_total";
        let sample = format!(r#"{name}{{reason="{reason}"}}"#);
        self.gateway.metric(&sample).await
    }

    /// Checks that the call is refused for this reason.
    async fn refuses(&self, token: &str, reason: &str) {
        let before = self.refused(reason).await;
        let answer = self.call(token).await;
        assert_eq!(answer.code(), Code::Unauthenticated, "{reason}: {answer:?}");
        assert_eq!(answer.details().reason(), "CALLER_UNAUTHENTICATED");
        assert_eq!(self.refused(reason).await, before + 1.0, "{reason}");
    }
}

fn es256() -> TokenKey {
    TokenKey::new("key-1", Algorithm::ES256)
}

/// A token made by hand.
fn token(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[tokio::test]
async fn tokens_of_all_common_algorithms_are_accepted() {
    let keys = [
        TokenKey::new("a", Algorithm::RS256),
        TokenKey::new("b", Algorithm::PS512),
        TokenKey::new("c", Algorithm::ES256),
        TokenKey::new("d", Algorithm::ES384),
        TokenKey::new("e", Algorithm::EdDSA),
    ];
    let tokens = Tokens::of(&keys.each_ref()).await;
    for key in &keys {
        // Each token is sent twice, because the second check uses the cache.
        for _ in 0..2 {
            tokens.call(&key.sign(&claims("team-a"))).await.is_whole();
        }
    }
    let several = but(claims("team-a"), "aud", json!(["other", "bedrock-grpc"]));
    tokens.call(&keys[2].sign(&several)).await.is_whole();
    // Clocks may differ by a minute.
    let just_over = but(claims("team-a"), "exp", json!(seconds(-30)));
    tokens.call(&keys[2].sign(&just_over)).await.is_whole();
    let soon = but(claims("team-a"), "nbf", json!(seconds(30)));
    tokens.call(&keys[2].sign(&soon)).await.is_whole();
}

#[tokio::test]
async fn tokens_for_others_of_others_or_at_another_time_are_refused() {
    let key = es256();
    let tokens = Tokens::of(&[&key]).await;
    for (name, value, reason) in [
        ("exp", json!(seconds(-90)), "expired"),
        ("exp", Value::Null, "malformed"),
        ("exp", json!("tomorrow"), "malformed"),
        ("exp", json!(1e300), "malformed"),
        ("nbf", json!(seconds(90)), "not_yet_valid"),
        ("nbf", json!("now"), "malformed"),
        ("iss", json!("https://login.example.org"), "wrong_audience"),
        ("iss", Value::Null, "wrong_audience"),
        ("aud", json!("another-service"), "wrong_audience"),
        ("aud", json!([]), "wrong_audience"),
        ("aud", Value::Null, "wrong_audience"),
        ("sub", json!("team-z"), "unlisted"),
        ("sub", json!(""), "unlisted"),
        ("sub", json!(7), "unlisted"),
        ("sub", Value::Null, "unlisted"),
        ("sub", json!("system:serviceaccount:a:b"), "unlisted"),
    ] {
        let token = key.sign(&but(claims("team-a"), name, value));
        tokens.refuses(&token, reason).await;
    }
    assert_eq!(tokens.gateway.emulator.calls(), []);
}

#[tokio::test]
async fn tokens_that_the_issuer_did_not_sign_are_refused() {
    let (rsa, ec) = (TokenKey::new("rsa", Algorithm::RS256), es256());
    let tokens = Tokens::of(&[&rsa, &ec]).await;
    let claims = claims("team-a");
    // The token has no signature.
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let text = token(&json!({"alg": none, "kid": "rsa"}), &claims, b"");
        tokens.refuses(&text, "bad_signature").await;
    }
    // The token has a symmetric signature. Its secret is the public key, which everyone can read.
    let jwk = rsa.jwk().to_string();
    for secret in [rsa.public_pem.as_bytes(), jwk.as_bytes(), b""] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("rsa".to_owned());
        let text = encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap();
        tokens.refuses(&text, "bad_signature").await;
    }
    // Another key with the same ID signs the token.
    let other = TokenKey::new("key-1", Algorithm::ES256);
    tokens.refuses(&other.sign(&claims), "bad_signature").await;
    // The algorithm does not fit the key that the token names.
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("rsa".to_owned());
    let key = EncodingKey::from_ec_pem(ec.pem.as_bytes()).unwrap();
    let text = encode(&header, &claims, &key).unwrap();
    tokens.refuses(&text, "bad_signature").await;
    // The token contains a key.
    let header =
        json!({"alg": "ES256", "jwk": other.jwk(), "jku": "http://127.0.0.1:1/", "kid": "own"});
    tokens
        .refuses(&token(&header, &claims, &[1; 64]), "bad_signature")
        .await;
    // The token requires an extension.
    let header = json!({"alg": "ES256", "kid": "key-1", "crit": ["b64"], "b64": false});
    tokens
        .refuses(&token(&header, &claims, &[1; 64]), "bad_signature")
        .await;

    // The claims were changed after the signature.
    let good = ec.sign(&claims);
    let mut parts: Vec<_> = good.split('.').map(str::to_owned).collect();
    parts[1] =
        BASE64_URL_SAFE_NO_PAD.encode(but(claims.clone(), "sub", json!("team-b")).to_string());
    tokens.refuses(&parts.join("."), "bad_signature").await;
    // A truncated token is never accepted.
    for cut in (0..good.len()).step_by(7).chain([good.len() - 1]) {
        let answer = tokens.call(&good[..cut]).await;
        assert_ne!(answer.code(), Code::Ok, "{cut}");
    }
    tokens.call(&good).await.is_whole();
}

#[tokio::test]
async fn an_operator_can_restrict_the_algorithms() {
    let (rsa, ec) = (TokenKey::new("rsa", Algorithm::RS256), es256());
    let tokens = Tokens::with(&[&rsa, &ec], |access| {
        access.jwt[0].algorithms = vec![SignatureAlgorithm::Es256];
    })
    .await;
    tokens.call(&ec.sign(&claims("team-a"))).await.is_whole();
    tokens
        .refuses(&rsa.sign(&claims("team-a")), "bad_signature")
        .await;
}

#[tokio::test]
async fn huge_tokens_are_refused_without_being_checked() {
    let key = es256();
    let tokens = Tokens::of(&[&key]).await;
    let long = |bytes: usize| key.sign(&but(claims("team-a"), "more", json!("x".repeat(bytes))));
    tokens.call(&long(8_000)).await.is_whole();
    tokens.refuses(&long(20_000), "too_long").await;
    // This token exceeds the size limit of headers.
    let call = Request::post(format!("http://{}{STREAM_INVOKE}", tokens.gateway.address))
        .header("authorization", format!("Bearer {}", long(100_000)));
    let mut call = RawCall::begin(&tokens.gateway, call).await;
    match call.next().await {
        Some(Frame::Headers { headers, .. }) => assert_ne!(
            headers.get("grpc-status").map(|s| s.as_bytes()),
            Some(&b"0"[..])
        ),
        Some(Frame::Reset(_)) | None => {}
        Some(other) => panic!("{other:?}"),
    }
    tokens.call(&key.sign(&claims("team-a"))).await.is_whole();
}

#[tokio::test]
async fn another_claim_can_name_the_caller_with_a_prefix() {
    let key = es256();
    let tokens = Tokens::with(&[&key], |access| {
        access.jwt[0].caller_claim = "realm.team".to_owned();
        access.jwt[0].caller_prefix = "team-".to_owned();
    })
    .await;
    let named = but(claims("x"), "realm", json!({"team": "a"}));
    tokens.call(&key.sign(&named)).await.is_whole();
    tokens
        .refuses(&key.sign(&claims("team-a")), "unlisted")
        .await;
}

fn one_stream_per_minute() -> GroupOptions {
    GroupOptions {
        quota: Quota {
            requests_per_minute: Some(1),
            ..Quota::default()
        },
        ..GroupOptions::default()
    }
}

#[tokio::test]
async fn callers_of_an_issuer_need_not_be_configured() {
    let key = es256();
    let tokens = Tokens::with(&[&key], |access| {
        let group = one_stream_per_minute();
        access.groups.insert("research".to_owned(), group);
        access.jwt[0].unlisted = Some(Unlisted {
            groups: vec!["research".to_owned()],
        });
    })
    .await;
    tokens
        .call(&key.sign(&claims("auth0|alice")))
        .await
        .is_whole();
    // The group's limit is that of all its members together.
    let answer = tokens.call(&key.sign(&claims("auth0|bob"))).await;
    assert_eq!(answer.code(), Code::ResourceExhausted, "{answer:?}");
    assert!(
        format!("{answer:?}").contains("group:research"),
        "{answer:?}"
    );
    // A configured caller has its own rules.
    for _ in 0..2 {
        tokens.call(&key.sign(&claims("team-a"))).await.is_whole();
    }
    for name in ["system:serviceaccount:a:b", "a b", "a\nb", &"x".repeat(300)] {
        tokens.refuses(&key.sign(&claims(name)), "unlisted").await;
    }
}

#[tokio::test]
async fn tokens_can_name_groups() {
    let key = es256();
    let tokens = Tokens::with(&[&key], |access| {
        let group = one_stream_per_minute();
        access.groups.insert("research".to_owned(), group);
        access.jwt[0].groups_claim = Some("groups".to_owned());
        access.jwt[0].unlisted = Some(Unlisted::default());
    })
    .await;
    let of = |caller: &str, groups: Value| key.sign(&but(claims(caller), "groups", groups));
    // Without a configured group, the caller is refused.
    tokens
        .refuses(&of("alice", json!(["staff"])), "unlisted")
        .await;
    tokens.refuses(&of("alice", json!([])), "unlisted").await;
    // Groups that are not configured have no effect.
    let answer = tokens.call(&of("team-a", json!(["staff"]))).await;
    answer.is_whole();
    let answer = tokens
        .call(&of("alice", json!(["staff", "research"])))
        .await;
    answer.is_whole();
    for caller in ["bob", "team-a"] {
        let answer = tokens.call(&of(caller, json!("research"))).await;
        assert_eq!(answer.code(), Code::ResourceExhausted, "{answer:?}");
    }
    tokens.call(&of("team-a", json!([]))).await.is_whole();
}

#[tokio::test]
async fn keys_and_tokens_work_side_by_side() {
    let (key, secret) = (es256(), key_of());
    let tokens = Tokens::with(&[&key], |access| {
        let caller = access.callers.get_mut("team-a").unwrap();
        caller.keys.push(key_options(&secret));
    })
    .await;
    let good = key.sign(&claims("team-a"));
    tokens.call(&good).await.is_whole();
    let answer = tokens.gateway.stream(keyed(ask("nova"), &secret)).await;
    answer.is_whole();
    // `x-api-key` takes precedence over `authorization`. It can also contain a token.
    for (header, value, code) in [
        ("x-api-key", secret.reveal(), Code::Ok),
        ("x-api-key", good.as_str(), Code::Ok),
        ("x-api-key", "nonsense", Code::Unauthenticated),
    ] {
        let mut request = bearer(ask("nova"), if value == good { "nonsense" } else { &good });
        request
            .metadata_mut()
            .insert(header, value.parse().unwrap());
        assert_eq!(tokens.gateway.stream(request).await.code(), code, "{value}");
    }
    assert_eq!(tokens.call("nonsense").await.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn without_a_need_for_credentials_wrong_tokens_are_still_refused() {
    let key = es256();
    let tokens = Tokens::with(&[&key], |access| access.required = false).await;
    tokens.gateway.stream(ask("nova")).await.is_whole();
    tokens.call(&key.sign(&claims("team-a"))).await.is_whole();
    let expired = but(claims("team-a"), "exp", json!(seconds(-90)));
    tokens.refuses(&key.sign(&expired), "expired").await;
}

#[tokio::test]
async fn a_caller_with_a_token_learns_who_it_is_and_what_is_left() {
    let key = es256();
    let tokens = Tokens::with(&[&key], |access| {
        access.jwt[0].groups_claim = Some("groups".to_owned());
        let group = GroupOptions::default();
        access.groups.insert("research".to_owned(), group);
        let caller = access.callers.get_mut("team-a").unwrap();
        caller.quota.requests_per_minute = Some(10);
    })
    .await;
    let token = key.sign(&but(
        claims("team-a"),
        "groups",
        json!(["research", "other"]),
    ));
    tokens.call(&token).await.is_whole();
    let mut client = LimitsServiceClient::new(tokens.gateway.channel());
    let answered = client.get_limits(bearer(GetLimitsRequest {}, &token)).await;
    let limits = answered.unwrap().into_inner();
    assert_eq!(limits.caller, "team-a");
    assert_eq!(limits.credential(), CredentialKind::Token);
    assert_eq!(limits.groups, ["research"]);
    let left: Vec<_> = limits
        .limits
        .iter()
        .map(|limit| limit.remaining())
        .collect();
    assert_eq!(left, [9]);
}

#[tokio::test]
async fn ten_thousand_forged_tokens_do_not_slow_down_a_valid_one() {
    let key = TokenKey::new("key-1", Algorithm::EdDSA);
    let tokens = Tokens::of(&[&key]).await;
    let good = key.sign(&claims("team-a"));
    let mut channel = tokens.gateway.inference();
    let began = Instant::now();
    let forged = (0..10_000).map(|number| {
        // The gateway closes connections on which it refuses too many calls.
        if number % 500 == 0 {
            channel = tokens.gateway.inference();
        }
        let mut channel = channel.clone();
        let header = json!({"alg": "EdDSA", "kid": "key-1"});
        let text = token(&header, &claims(&number.to_string()), &[7; 64]);
        async move {
            let ended = channel.stream_invoke(bearer(ask("nova"), &text)).await;
            ended.err().unwrap().code()
        }
    });
    let forged: Vec<_> = forged.collect();
    let mut ended = futures_util::stream::iter(forged);
    let mut ended = futures_util::StreamExt::buffer_unordered(&mut ended, 50);
    while let Some(code) = futures_util::StreamExt::next(&mut ended).await {
        assert!(matches!(
            code,
            Code::Unauthenticated | Code::ResourceExhausted
        ));
    }
    tokens.call(&good).await.is_whole();
    assert_eq!(tokens.refused("bad_signature").await, 10_000.0);
    assert!(began.elapsed().as_secs() < 60);
}
