//! The keys of issuers: where they are read, what happens when they change or cannot be read.

use std::{
    fs,
    time::{Duration, Instant},
};

use bedrock_grpc::config::{
    Access, CallerOptions, ClusterKeys, KeySetLocation, Kubernetes, Unlisted,
};
use futures_util::{StreamExt, stream};
use jsonwebtoken::Algorithm;
use serde_json::json;
use tonic::Code;

use crate::harness::{
    Gateway, KeyServer, TokenKey, ask, bearer, but, claims, file, issuer, key_of, key_options,
    key_set, keyed, serve_keys_over_tls, soon,
};

const KEYS: &str = "/keys";
const DISCOVERY: &str = "/.well-known/openid-configuration";

fn key(id: &str) -> TokenKey {
    TokenKey::new(id, Algorithm::ES256)
}

/// A gateway with the caller team-a, which has an API key, too.
async fn gateway(change: impl FnOnce(&mut Access)) -> Gateway {
    Gateway::with(|config, _| {
        config.access.required = true;
        let caller = CallerOptions::default();
        config.access.callers.insert("team-a".to_owned(), caller);
        change(&mut config.access);
    })
    .await
}

/// A gateway that fetches the keys from a URL of the server.
async fn fetching(server: &KeyServer) -> Gateway {
    let url = server.url(KEYS);
    gateway(|access| access.jwt.push(issuer(KeySetLocation::Url(url)))).await
}

async fn call(gateway: &Gateway, token: &str) -> Code {
    gateway.stream(bearer(ask("nova"), token)).await.code()
}

/// Advances the gateway's paused clock.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Repeats the call until it ends with this code.
async fn until(gateway: &Gateway, token: &str, code: Code) {
    soon(async {
        while call(gateway, token).await != code {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn keys_are_fetched_from_a_url() {
    let (server, key) = (KeyServer::start().await, key("a"));
    server.serves(KEYS, &key_set(&[&key]));
    let gateway = fetching(&server).await;
    assert_eq!(call(&gateway, &key.sign(&claims("team-a"))).await, Code::Ok);
    assert_eq!(server.requests(), [""]);
    let fetched = r#"bedrock_grpc_issuer_key_fetches_total{outcome="ok"}"#;
    assert_eq!(gateway.metric(fetched).await, 1.0);
}

#[tokio::test]
async fn keys_are_fetched_over_tls_from_a_server_that_is_trusted() {
    let key = key("a");
    let certified = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (own, other) = (certified(), certified());
    let private = own.signing_key.serialize_pem();
    let address = serve_keys_over_tls(&own.cert.pem(), &private, &key_set(&[&key])).await;
    for (trusted, host, code) in [
        (&own, "localhost", Code::Ok),
        (&other, "localhost", Code::Unavailable),
        // The certificate is not for this name.
        (&own, "127.0.0.1", Code::Unavailable),
    ] {
        let ca = file(&trusted.cert.pem());
        let gateway = gateway(|access| {
            let url = format!("https://{host}:{}/keys", address.port());
            let mut issuer = issuer(KeySetLocation::Url(url));
            issuer.ca_file = Some(ca.path().to_owned());
            access.jwt.push(issuer);
        })
        .await;
        assert_eq!(
            call(&gateway, &key.sign(&claims("team-a"))).await,
            code,
            "{host}"
        );
    }
}

#[tokio::test]
async fn answers_that_are_no_keys_are_not_used() {
    let (server, key) = (KeyServer::start().await, key("a"));
    let set = key_set(&[&key]);
    server.serves("/elsewhere", &set);
    let mut huge = set.clone();
    huge["padding"] = json!("x".repeat(2 << 20));
    server.redirects("/redirect", &server.url("/elsewhere"));
    server.serves("/huge", &huge);
    server.serves("/other", &json!({"hello": "world"}));
    server.fails("/error");
    for path in ["/redirect", "/huge", "/other", "/error", "/none"] {
        let url = server.url(path);
        let gateway = gateway(|access| access.jwt.push(issuer(KeySetLocation::Url(url)))).await;
        let answer = call(&gateway, &key.sign(&claims("team-a"))).await;
        assert_eq!(answer, Code::Unavailable, "{path}");
    }
}

#[tokio::test]
async fn keys_are_discovered() {
    let (server, key) = (KeyServer::start().await, key("a"));
    let name = server.url("");
    server.serves(
        DISCOVERY,
        &json!({"issuer": name, "jwks_uri": server.url(KEYS)}),
    );
    server.serves(KEYS, &key_set(&[&key]));
    let gateway = gateway(|access| {
        let mut issuer = issuer(KeySetLocation::Discovery);
        issuer.issuer = server.url("");
        access.jwt.push(issuer);
    })
    .await;
    let token = key.sign(&but(claims("team-a"), "iss", json!(name)));
    assert_eq!(call(&gateway, &token).await, Code::Ok);
}

#[tokio::test]
async fn discovery_documents_that_lead_elsewhere_are_not_followed() {
    let (server, key) = (KeyServer::start().await, key("a"));
    server.serves(KEYS, &key_set(&[&key]));
    let name = server.url("");
    for document in [
        json!({"issuer": "https://other.example", "jwks_uri": server.url(KEYS)}),
        json!({"issuer": name, "jwks_uri": "http://keys.example/keys"}),
        json!({"issuer": name}),
        json!("no document"),
    ] {
        server.serves(DISCOVERY, &document);
        let gateway = gateway(|access| {
            let mut issuer = issuer(KeySetLocation::Discovery);
            issuer.issuer.clone_from(&name);
            access.jwt.push(issuer);
        })
        .await;
        let token = key.sign(&but(claims("team-a"), "iss", json!(name)));
        assert_eq!(
            call(&gateway, &token).await,
            Code::Unavailable,
            "{document}"
        );
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_needs_it_and_an_old_one_ends() {
    let (server, old, new) = (KeyServer::start().await, key("a"), key("b"));
    server.serves(KEYS, &key_set(&[&old]));
    let gateway = fetching(&server).await;
    let old_token = old.sign(&claims("team-a"));
    assert_eq!(call(&gateway, &old_token).await, Code::Ok);

    server.serves(KEYS, &key_set(&[&old, &new]));
    let new_token = new.sign(&claims("team-a"));
    // The last fetch is too recent.
    assert_eq!(call(&gateway, &new_token).await, Code::Unauthenticated);
    assert_eq!(server.requests().len(), 1);
    pass(Duration::from_secs(11)).await;
    until(&gateway, &new_token, Code::Ok).await;
    assert_eq!(call(&gateway, &old_token).await, Code::Ok);
    assert_eq!(server.requests().len(), 2);

    // A key that was withdrawn no longer counts, not even for tokens that were checked before.
    server.serves(KEYS, &key_set(&[&new]));
    pass(Duration::from_secs(301)).await;
    until(&gateway, &old_token, Code::Unauthenticated).await;
    assert_eq!(call(&gateway, &new_token).await, Code::Ok);
}

#[tokio::test]
async fn keys_stay_when_they_cannot_be_fetched_again() {
    let (server, key) = (KeyServer::start().await, key("a"));
    server.serves(KEYS, &key_set(&[&key]));
    let gateway = fetching(&server).await;
    let token = key.sign(&claims("team-a"));
    assert_eq!(call(&gateway, &token).await, Code::Ok);
    server.fails(KEYS);
    pass(Duration::from_secs(301)).await;
    server.requested(2).await;
    server.serves(KEYS, &json!({"keys": []}));
    pass(Duration::from_secs(11)).await;
    server.requested(3).await;
    assert_eq!(call(&gateway, &token).await, Code::Ok);
    // The gateway cannot find out now whether a new key exists. This is not a mistake of the
    // caller.
    let other = TokenKey::new("z", Algorithm::ES256);
    let failed = r#"bedrock_grpc_issuer_key_fetches_total{outcome="error"}"#;
    soon(async {
        while gateway.metric(failed).await < 2.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let answer = call(&gateway, &other.sign(&claims("team-a"))).await;
    assert_eq!(answer, Code::Unavailable);
}

#[tokio::test]
async fn a_server_that_is_down_at_the_start_is_tried_again() {
    let (server, key, secret) = (KeyServer::start().await, key("a"), key_of());
    server.fails(KEYS);
    let url = server.url(KEYS);
    let gateway = gateway(|access| {
        access.jwt.push(issuer(KeySetLocation::Url(url)));
        let caller = access.callers.get_mut("team-a").unwrap();
        caller.keys.push(key_options(&secret));
    })
    .await;
    let token = key.sign(&claims("team-a"));
    let answer = gateway.stream(bearer(ask("nova"), &token)).await;
    assert_eq!(answer.code(), Code::Unavailable);
    assert_eq!(answer.details().reason(), "CALLER_UNVERIFIABLE");
    assert!(answer.details().retry().is_some());
    // Other credentials are not affected.
    gateway.stream(keyed(ask("nova"), &secret)).await.is_whole();
    server.serves(KEYS, &key_set(&[&key]));
    pass(Duration::from_secs(11)).await;
    until(&gateway, &token, Code::Ok).await;
}

#[tokio::test]
async fn a_server_that_hangs_does_not_hold_up_calls() {
    let (server, key, secret) = (KeyServer::start().await, key("a"), key_of());
    server.hangs(KEYS);
    let url = server.url(KEYS);
    let gateway = gateway(|access| {
        access.jwt.push(issuer(KeySetLocation::Url(url)));
        let caller = access.callers.get_mut("team-a").unwrap();
        caller.keys.push(key_options(&secret));
    })
    .await;
    server.requested(1).await;
    let token = key.sign(&claims("team-a"));
    let began = Instant::now();
    let (waited, at_once) = tokio::join!(
        gateway.stream(bearer(ask("nova"), &token)),
        gateway.stream(keyed(ask("nova"), &secret))
    );
    at_once.is_whole();
    assert_eq!(waited.code(), Code::Unavailable);
    assert_eq!(waited.details().reason(), "CALLER_UNVERIFIABLE");
    assert!(
        began.elapsed() < Duration::from_secs(9),
        "{:?}",
        began.elapsed()
    );
    // The fetch itself also times out, and is tried again.
    server.serves(KEYS, &key_set(&[&key]));
    pass(Duration::from_secs(11)).await;
    until(&gateway, &token, Code::Ok).await;
}

#[tokio::test]
async fn ten_thousand_unknown_keys_cause_one_fetch_per_interval() {
    let (server, key) = (KeyServer::start().await, key("a"));
    server.serves(KEYS, &key_set(&[&key]));
    let gateway = fetching(&server).await;
    let token = key.sign(&claims("team-a"));
    assert_eq!(call(&gateway, &token).await, Code::Ok);
    pass(Duration::from_secs(11)).await;

    let began = Instant::now();
    let mut client = gateway.inference();
    let calls = (0..10_000).map(|number| {
        // The gateway closes connections on which it refuses too many calls.
        if number % 500 == 0 {
            client = gateway.inference();
        }
        let mut client = client.clone();
        // The key ID is in the first part; the rest need not be signed.
        let forged = TokenKey::forged(&format!("unknown-{number}"), &claims("team-a"));
        async move {
            let ended = client.stream_invoke(bearer(ask("nova"), &forged)).await;
            ended.err().unwrap().code()
        }
    });
    let calls: Vec<_> = calls.collect();
    let mut ended = stream::iter(calls).buffer_unordered(50);
    while let Some(code) = ended.next().await {
        assert!(
            matches!(code, Code::Unauthenticated | Code::ResourceExhausted),
            "{code:?}"
        );
    }
    let intervals = began.elapsed().as_secs() / 10 + 1;
    let fetches = server.requests().len() as u64;
    assert!(
        (2..=1 + intervals).contains(&fetches),
        "{fetches} fetches in {intervals} intervals"
    );
    assert_eq!(call(&gateway, &token).await, Code::Ok);
}

#[tokio::test]
async fn keys_in_a_file_are_read_again() {
    let (old, new) = (key("a"), key("b"));
    let keys = file(&key_set(&[&old]).to_string());
    let path = keys.path().to_owned();
    let gateway = gateway(|access| access.jwt.push(issuer(KeySetLocation::File(path)))).await;
    assert_eq!(call(&gateway, &old.sign(&claims("team-a"))).await, Code::Ok);
    fs::write(keys.path(), key_set(&[&new]).to_string()).unwrap();
    pass(Duration::from_secs(301)).await;
    until(&gateway, &new.sign(&claims("team-a")), Code::Ok).await;
    let old = old.sign(&claims("team-a"));
    assert_eq!(call(&gateway, &old).await, Code::Unauthenticated);
}

/// The claims of a pod's token.
fn pod(namespace: &str, account: &str) -> serde_json::Value {
    let name = format!("system:serviceaccount:{namespace}:{account}");
    let claims = but(claims(&name), "iss", json!("https://cluster.example"));
    but(
        claims,
        "kubernetes.io",
        json!({"namespace": namespace, "serviceaccount": {"name": account}}),
    )
}

#[tokio::test]
async fn service_accounts_are_identified_with_the_keys_of_the_api_server() {
    let (server, key) = (KeyServer::start().await, key("a"));
    let document =
        json!({"issuer": "https://cluster.example", "jwks_uri": "https://10.0.0.1/keys"});
    server.serves(DISCOVERY, &document);
    server.serves("/openid/v1/jwks", &key_set(&[&key]));
    let token_file = file("own-token-1\n");
    let gateway = gateway(|access| {
        access.kubernetes = Some(Kubernetes {
            audience: "bedrock-grpc".to_owned(),
            keys: ClusterKeys::ApiServer {
                url: server.url(""),
                token_file: token_file.path().to_owned(),
            },
            ca_file: None,
            refresh: Duration::from_secs(300),
            unlisted: None,
        });
        for (name, accounts) in [
            ("chat", vec!["apps/chat", "tools/chat"]),
            ("tools", vec!["tools/*"]),
            ("system:serviceaccount:apps:batch", vec![]),
        ] {
            let caller = CallerOptions {
                service_accounts: accounts.into_iter().map(str::to_owned).collect(),
                ..CallerOptions::default()
            };
            access.callers.insert(name.to_owned(), caller);
        }
    })
    .await;
    for (namespace, account, code) in [
        ("apps", "chat", Code::Ok),
        ("apps", "batch", Code::Ok),
        ("tools", "chat", Code::Ok),
        ("tools", "any", Code::Ok),
        ("apps", "other", Code::Unauthenticated),
        ("tools2", "any", Code::Unauthenticated),
    ] {
        let token = key.sign(&pod(namespace, account));
        assert_eq!(call(&gateway, &token).await, code, "{namespace}/{account}");
    }
    let other = but(
        pod("apps", "chat"),
        "aud",
        json!("https://kubernetes.default.svc"),
    );
    assert_eq!(
        call(&gateway, &key.sign(&other)).await,
        Code::Unauthenticated
    );
    // Only the cluster names service accounts, and it names nothing else.
    let user = but(pod("apps", "chat"), "sub", json!("team-a"));
    assert_eq!(
        call(&gateway, &key.sign(&user)).await,
        Code::Unauthenticated
    );
    assert_eq!(server.requests(), ["Bearer own-token-1"; 2]);

    // The gateway's own token is replaced regularly.
    fs::write(token_file.path(), "own-token-2\n").unwrap();
    pass(Duration::from_secs(301)).await;
    server.requested(4).await;
    assert_eq!(server.requests()[2..], ["Bearer own-token-2"; 2]);
}

#[tokio::test]
async fn service_accounts_of_a_public_issuer_need_no_api_server() {
    let (server, key) = (KeyServer::start().await, key("a"));
    let name = server.url("/id/ABC");
    server.serves(
        &format!("/id/ABC{DISCOVERY}"),
        &json!({"issuer": name, "jwks_uri": server.url(KEYS)}),
    );
    server.serves(KEYS, &key_set(&[&key]));
    let gateway = gateway(|access| {
        access.groups.insert(
            "cluster".to_owned(),
            bedrock_grpc::config::GroupOptions::default(),
        );
        access.kubernetes = Some(Kubernetes {
            audience: "bedrock-grpc".to_owned(),
            keys: ClusterKeys::Issuer {
                issuer: name.clone(),
                jwks_url: None,
            },
            ca_file: None,
            refresh: Duration::from_secs(300),
            unlisted: Some(Unlisted {
                groups: vec!["cluster".to_owned()],
            }),
        });
    })
    .await;
    let token = key.sign(&but(pod("apps", "any"), "iss", json!(name)));
    assert_eq!(call(&gateway, &token).await, Code::Ok);
    let other = key.sign(&pod("apps", "any"));
    assert_eq!(call(&gateway, &other).await, Code::Unauthenticated);
}
