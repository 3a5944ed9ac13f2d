//! `LimitsService.GetLimits`, and the command `limits`.

use bedrock_grpc::{
    config::{GroupOptions, LimitsStore, OnStoreFailure, Permission, Price, Quota, Rates},
    pb::{
        CredentialKind, GetLimitsRequest, GetLimitsResponse, Limit, LimitScope,
        limits_service_client::LimitsServiceClient,
    },
};
use tonic::{Request, Status};

use crate::harness::{
    Gateway, MODEL, Process, RedisServer, access_of, alias, ask, key_of, keyed, soon, store_at,
};

async fn limits_of(
    gateway: &Gateway,
    request: Request<GetLimitsRequest>,
) -> Result<GetLimitsResponse, Status> {
    let mut client = LimitsServiceClient::new(gateway.channel());
    soon(client.get_limits(request))
        .await
        .map(tonic::Response::into_inner)
}

/// Two callers: `team-a` with limits at each level, and `team-b` without any.
async fn gateway(
    a: &bedrock_grpc::access::key::Secret,
    b: &bedrock_grpc::access::key::Secret,
) -> Gateway {
    Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", a), ("team-b", b)]);
        config.access.store = LimitsStore::Memory;
        config.access.prices = vec![Price {
            models: vec!["*".to_owned()],
            rates: Rates {
                input: 1_000,
                output: 1_000,
                ..Rates::default()
            },
            ..Price::default()
        }];
        let group = GroupOptions {
            quota: Quota {
                nano_usd_per_month: Some(5_000_000_000),
                ..Quota::default()
            },
            ..GroupOptions::default()
        };
        config.access.groups.insert("research".to_owned(), group);
        let caller = config.access.callers.get_mut("team-a").unwrap();
        caller.groups = vec!["research".to_owned()];
        caller.quota = Quota {
            requests_per_minute: Some(10),
            open_streams: Some(3),
            ..Quota::default()
        };
        caller.permission = Permission {
            methods: Some(vec!["StreamInvoke"]),
            targets: Some(vec!["nova".to_owned()]),
            ..Permission::default()
        };
        let aliases = &mut config.targets.aliases;
        aliases.insert("other".to_owned(), alias(MODEL));
        let nova = aliases.get_mut("nova").unwrap();
        nova.limits.quota.tokens_per_minute = Some(100_000);
        nova.limits.quota.tokens_per_day = Some(100_000);
    })
    .await
}

fn find<'a>(answer: &'a GetLimitsResponse, kind: &str) -> &'a Limit {
    let found = answer.limits.iter().find(|limit| limit.kind == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {answer:?}"))
}

#[tokio::test]
async fn callers_learn_who_they_are_and_what_is_left() {
    let (a, b) = (key_of(), key_of());
    let gateway = gateway(&a, &b).await;
    let answer = limits_of(&gateway, keyed(GetLimitsRequest {}, &a))
        .await
        .unwrap();
    assert_eq!(answer.caller, "team-a");
    assert_eq!(answer.groups, ["research"]);
    assert_eq!(answer.credential(), CredentialKind::ApiKey);
    assert_eq!(answer.methods, ["StreamInvoke"]);
    assert_eq!(answer.targets, ["nova"]);
    assert_eq!(answer.allowed_model_ids, [""; 0]);
    assert!(!answer.counts_unavailable);
    for (kind, scope, name, limit) in [
        ("open_streams", LimitScope::Caller, "team-a", 3),
        ("requests_per_minute", LimitScope::Caller, "team-a", 10),
        (
            "usd_per_month",
            LimitScope::Group,
            "research",
            5_000_000_000,
        ),
        ("tokens_per_minute", LimitScope::Target, "nova", 100_000),
        ("tokens_per_day", LimitScope::Target, "nova", 100_000),
    ] {
        let found = find(&answer, kind);
        assert_eq!((found.scope(), found.name.as_str()), (scope, name));
        assert_eq!(
            (found.limit, found.remaining),
            (limit, Some(limit)),
            "{kind}"
        );
    }
    assert_eq!(answer.limits.len(), 5);

    gateway.stream(keyed(ask("nova"), &a)).await.is_whole();
    let after = limits_of(&gateway, keyed(GetLimitsRequest {}, &a))
        .await
        .unwrap();
    // GetLimits itself is not counted.
    let requests = find(&after, "requests_per_minute");
    assert!(requests.remaining >= Some(9), "{requests:?}");
    let refill = requests.refilled_in.unwrap();
    assert!(refill.seconds <= 6, "{refill:?}");
    // Limits per day are not refilled while the test runs, but limits per minute are.
    let day = find(&after, "tokens_per_day").remaining.unwrap();
    assert!(day < 100_000, "{day}");
    let minute = find(&after, "tokens_per_minute").remaining.unwrap();
    assert!(
        (day..=100_000).contains(&minute),
        "{minute} of a minute, {day} of a day"
    );
    let money = find(&after, "usd_per_month");
    assert!(money.remaining.unwrap() < money.limit, "{money:?}");
    assert!(money.refilled_in.unwrap().seconds > 0, "{money:?}");
    let open = find(&after, "open_streams");
    assert_eq!((open.remaining, open.refilled_in), (Some(3), None));

    let other = limits_of(&gateway, keyed(GetLimitsRequest {}, &b))
        .await
        .unwrap();
    assert_eq!(other.caller, "team-b");
    assert_eq!(other.targets, ["nova", "other"]);
    assert_eq!(other.allowed_model_ids, ["*"]);
    assert_eq!(other.methods.len(), 6);
    // Limits of others are not shown.
    assert_eq!(other.limits.len(), 2, "{other:?}");
}

#[tokio::test]
async fn only_identified_callers_get_an_answer_if_an_identity_is_required() {
    let (a, b) = (key_of(), key_of());
    let gateway = gateway(&a, &b).await;
    let refused = limits_of(&gateway, Request::new(GetLimitsRequest {}))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);

    let open = Gateway::start().await;
    let answer = limits_of(&open, Request::new(GetLimitsRequest {}))
        .await
        .unwrap();
    assert_eq!(answer.caller, "");
    assert_eq!(answer.credential(), CredentialKind::Unspecified);
    assert_eq!(answer.targets, ["nova"]);
    assert_eq!(answer.limits, []);
}

#[tokio::test]
async fn the_command_prints_a_table_or_json() {
    let (a, b) = (key_of(), key_of());
    let gateway = gateway(&a, &b).await;
    let address = format!("http://{}", gateway.address);
    let run = async |more: &[&str]| {
        let arguments = [&["limits", "--address", &address], more].concat();
        let key = [("BEDROCK_GRPC_KEY", a.reveal())];
        Process::start(arguments, key).end().await
    };
    let ended = run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for line in [
        "caller team-a (API key)",
        "groups research",
        "methods StreamInvoke",
        "model IDs none",
        "open_streams caller team-a 3 3 -",
        "tokens_per_minute target nova 100000 100000 0 s",
    ] {
        let mut lines = ended.stdout.lines();
        let is_there = lines.any(|text| text.split_whitespace().eq(line.split(' ')));
        assert!(is_there, "{line}\n{}", ended.stdout);
    }
    let money = "usd_per_month        group research  5.0000   5.0000     ";
    assert!(ended.stdout.contains(money), "{}", ended.stdout);
    let ended = run(&["--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["caller"], "team-a");
    assert_eq!(json["credential"], "API_KEY");
    assert_eq!(json["limits"][0]["scope"], "CALLER");
    assert_eq!(json["limits"][0]["remaining"], 3);
    assert_eq!(json["counts_unavailable"], false);
    assert_eq!(ended.stderr, "");

    let key = [("BEDROCK_GRPC_KEY", "bgrpc_wrong")];
    let arguments = ["limits", "--address", &address];
    let refused = Process::start(arguments, key).end().await;
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains("CALLER_UNAUTHENTICATED"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
#[cfg_attr(not(redis_server), ignore = "needs redis-server")]
async fn counts_come_from_the_store_and_their_absence_is_reported() {
    let key = key_of();
    let replica = async |port| {
        Gateway::with(|config, _| {
            config.access = access_of(&[("team-a", &key)]);
            config.access.store = store_at(port, OnStoreFailure::Local);
            let caller = config.access.callers.get_mut("team-a").unwrap();
            caller.quota.requests_per_minute = Some(10);
        })
        .await
    };
    let redis = RedisServer::start().await;
    let (one, two) = (replica(redis.port()).await, replica(redis.port()).await);
    one.stream(keyed(ask("nova"), &key)).await.is_whole();
    let answer = limits_of(&two, keyed(GetLimitsRequest {}, &key))
        .await
        .unwrap();
    assert!(!answer.counts_unavailable);
    let requests = find(&answer, "requests_per_minute");
    assert!(requests.refilled_in.unwrap() != prost_types::Duration::default());

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let alone = replica(port).await;
    let answer = limits_of(&alone, keyed(GetLimitsRequest {}, &key))
        .await
        .unwrap();
    assert!(answer.counts_unavailable);
    let requests = find(&answer, "requests_per_minute");
    assert_eq!((requests.limit, requests.remaining), (10, None));
    assert_eq!(requests.refilled_in, None);
}
