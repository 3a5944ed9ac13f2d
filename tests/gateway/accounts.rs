//! Routes in several AWS accounts, and callers with separate sessions.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use bedrock_emulator::{Call, Options, Quota, Quotas, Rate, Role};
use bedrock_grpc::{
    config::{AccountOptions, CallerSession, Config, RecordFile, RouteOptions},
    pb::{GetTargetRequest, RouteHealth, stream_invoke_response::Event},
};
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tonic::Code;

use crate::{
    harness::{
        Answer, Gateway, MODEL, access_of, ask, get, key_of, keyed, over, route, soon, text,
    },
    usage::records::Records,
};

const ONE: &str = "arn:aws:iam::111122223333:role/bedrock";
const TWO: &str = "arn:aws:iam::444455556666:role/bedrock";
const REGIONS: [&str; 2] = ["us-east-1", "us-west-2"];

/// Returns the options of an account with this role and with defaults for everything else.
fn account(role_arn: &str) -> AccountOptions {
    let text = format!("accounts: {{a: {{role_arn: '{role_arn}'}}}}");
    let config = Config::parse(&text, &|_| None).unwrap();
    config.accounts.into_values().next().unwrap()
}

/// A route to the model in these accounts, in both Regions.
fn in_accounts(accounts: &[&str]) -> RouteOptions {
    RouteOptions {
        regions: REGIONS.map(str::to_owned).to_vec(),
        accounts: accounts.iter().map(|name| (*name).to_owned()).collect(),
        ..RouteOptions::to(MODEL)
    }
}

/// A gateway whose target `t` is called in the accounts `one` and `two`, in two Regions each.
async fn gateway(change: impl FnOnce(&mut Config, &mut Options)) -> Gateway {
    Gateway::with(|config, options| {
        config.accounts.insert("one".to_owned(), account(ONE));
        config.accounts.insert("two".to_owned(), account(TWO));
        config.targets.account_names =
            BTreeMap::from([("444455556666".to_owned(), "two".to_owned())]);
        let target = over(vec![in_accounts(&["one", "two"])]);
        config.targets.aliases.insert("t".to_owned(), target);
        config
            .targets
            .aliases
            .insert("only-one".to_owned(), over(vec![in_accounts(&["one"])]));
        change(config, options);
    })
    .await
}

/// Returns the account that answered a call, according to the response.
fn account_of(answer: &Answer) -> String {
    let start = answer.events().find_map(|event| match event {
        Event::MessageStart(start) => Some(start),
        _ => None,
    });
    let start = start.expect("a message_start");
    let account = start.target.clone().unwrap().account;
    assert_eq!(start.attempts.last().unwrap().account, account);
    account
}

fn of<'a>(operation: &'a str, calls: &'a [Call]) -> impl Iterator<Item = &'a Call> {
    calls.iter().filter(move |call| call.operation == operation)
}

/// Makes this many calls, some at a time, and returns the account of each.
async fn load(gateway: &Gateway, count: usize) -> Vec<String> {
    let client = gateway.inference();
    let calls = (0..count).map(|_| {
        let mut client = client.clone();
        async move {
            let stream = crate::harness::Stream::open(&mut client, ask("t")).await;
            let answer = stream.end().await;
            answer.is_whole();
            account_of(&answer)
        }
    });
    soon(stream::iter(calls).buffer_unordered(8).collect()).await
}

#[tokio::test]
async fn accounts_and_regions_share_the_calls_and_each_role_is_assumed_once() {
    let gateway = gateway(|config, _| config.server.workers = 2).await;
    let accounts = load(&gateway, 80).await;
    let calls = gateway.ended(82).await;
    let called: BTreeSet<_> = of("ConverseStream", &calls)
        .map(|call| (call.account.as_str(), call.region.as_str()))
        .collect();
    assert_eq!(
        called,
        BTreeSet::from([
            ("111122223333", "us-east-1"),
            ("111122223333", "us-west-2"),
            ("444455556666", "us-east-1"),
            ("444455556666", "us-west-2"),
        ])
    );
    for (name, id) in [("one", "111122223333"), ("two", "444455556666")] {
        let told = accounts.iter().filter(|account| *account == name).count();
        let made = of("ConverseStream", &calls).filter(|call| call.account == id);
        assert_eq!(told, made.count());
        let sample =
            format!(r#"bedrock_grpc_attempts_total{{target="t",account="{name}",reason=""}}"#);
        assert_eq!(gateway.metric(&sample).await, told as f64, "{sample}");
    }
    let assumed: Vec<_> = of("AssumeRole", &calls)
        .map(|call| call.model_id.as_str())
        .collect();
    assert_eq!(assumed.len(), 2, "{assumed:?}");
    assert_eq!(BTreeSet::from_iter(assumed), BTreeSet::from([ONE, TWO]));
}

#[tokio::test]
async fn the_quotas_of_two_accounts_in_two_regions_add_up() {
    let quota = Quota::rate(Rate {
        requests_per_minute: Some(25),
        tokens_per_minute: None,
    });
    let gateway = gateway(|_, options| options.quotas = Quotas::everywhere(quota)).await;
    let mut answered = BTreeMap::<(String, String), usize>::new();
    for _ in 0..100 {
        let answer = gateway.stream(ask("t")).await;
        if answer.end.is_ok() {
            let start = answer.events().find_map(|event| match event {
                Event::MessageStart(start) => start.target.clone(),
                _ => None,
            });
            let target = start.expect("a message_start");
            *answered
                .entry((target.account, target.source_region))
                .or_default() += 1;
        }
    }
    let sum: usize = answered.values().sum();
    assert!(sum >= 95, "{answered:?}");
    assert!(answered.values().all(|calls| *calls <= 25), "{answered:?}");
    let calls = gateway.emulator.calls();
    let attempts = of("ConverseStream", &calls).count();
    assert!(attempts <= 110, "{attempts} attempts");
}

#[tokio::test]
async fn the_usage_records_of_each_account_agree_with_what_bedrock_billed_it() {
    let (key, mut records) = (key_of(), Records::create());
    let unlimited = Quota::rate(Rate {
        requests_per_minute: Some(1_000_000),
        tokens_per_minute: Some(1_000_000_000),
    });
    let gateway = gateway(|config, options| {
        config.access = access_of(&[("team-a", &key)]);
        config.usage_records.file = Some(RecordFile::Path(records.path()));
        // The emulator then has the usage of all calls.
        options.quotas = Quotas::everywhere(unlimited);
        options.quotas.minute_ms = Some(3_600_000);
    })
    .await;
    let calls = stream::iter(0..60).map(|number| {
        let mut request = ask("t");
        let words = "word ".repeat(number + 1);
        request.input.as_mut().unwrap().messages[0].content = vec![text(&words)];
        gateway.stream(keyed(request, &key))
    });
    let answers: Vec<_> = calls.buffer_unordered(8).collect().await;
    assert!(answers.iter().all(|answer| answer.end.is_ok()));
    let mut recorded = BTreeMap::<String, (u64, u64)>::new();
    for _ in &answers {
        let record = records.next().await;
        let tokens = |name: &str| record[name].as_u64().unwrap();
        let account = record["account"].as_str().unwrap().to_owned();
        let (calls, sum) = recorded.entry(account).or_default();
        *calls += 1;
        *sum += tokens("input_tokens") + tokens("output_tokens");
    }
    gateway.ended(answers.len() + 2).await;
    let url = gateway.emulator.endpoint_url();
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    let (_, quotas) = get(address, "/_emulator/quotas").await;
    let quotas: Value = serde_json::from_str(&quotas).unwrap();
    let mut billed = BTreeMap::<String, (u64, u64)>::new();
    for minute in quotas["used"]["minutes"].as_array().unwrap() {
        let name = match minute["account"].as_str().unwrap() {
            "111122223333" => "one",
            "444455556666" => "two",
            other => panic!("{other} is not configured"),
        };
        let (calls, sum) = billed.entry(name.to_owned()).or_default();
        *calls += minute["requests"].as_u64().unwrap();
        *sum += minute["tokens"].as_u64().unwrap();
    }
    assert_eq!(recorded, billed);
    assert_eq!(recorded.len(), 2, "{recorded:?}");
}

#[tokio::test]
async fn targets_show_the_accounts() {
    let gateway = gateway(|_, _| {}).await;
    let request = GetTargetRequest {
        target: "t".to_owned(),
    };
    let target = soon(gateway.targets().get_target(request)).await.unwrap();
    let routes = target.into_inner().target.unwrap().routes;
    let places: Vec<_> = routes
        .iter()
        .map(|route| (route.account.as_str(), route.source_region.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("one", "us-east-1"),
            ("two", "us-east-1"),
            ("one", "us-west-2"),
            ("two", "us-west-2"),
        ]
    );
}

#[tokio::test]
async fn a_role_that_is_revoked_in_mid_load_costs_no_call_and_is_seen_when_it_is_back() {
    let gateway = gateway(|_, _| {}).await;
    let before = load(&gateway, 40).await;
    assert!(before.iter().any(|account| account == "one"));
    let (during, ()) = tokio::join!(load(&gateway, 160), async {
        gateway
            .emulator
            .wait_for(|calls| of("ConverseStream", calls).count() >= 80)
            .await;
        gateway.emulator.revoke_role(ONE);
    });
    assert_eq!(during.len(), 160);
    let after = load(&gateway, 40).await;
    assert!(after.iter().all(|account| account == "two"), "{after:?}");
    let request = || GetTargetRequest {
        target: "t".to_owned(),
    };
    // The load continues until a probe is more than one second away.
    let skipped = soon(async {
        loop {
            load(&gateway, 8).await;
            let found = gateway.targets().get_target(request()).await.unwrap();
            let routes = found.into_inner().target.unwrap().routes;
            let of_one = routes.iter().filter(|route| route.account == "one");
            let skipped = of_one.filter_map(|route| {
                let time = Duration::try_from(route.unavailable_for?).ok()?;
                assert_eq!(route.health(), RouteHealth::Unhealthy);
                Some(time)
            });
            if let Some(shortest) = skipped.min().filter(|time| *time > Duration::from_secs(1)) {
                return shortest;
            }
        }
    })
    .await;

    gateway.emulator.restore_role(ONE);
    let restored = Instant::now();
    soon(async { while !load(&gateway, 8).await.contains(&"one".to_owned()) {} }).await;
    // The first probe gets a new session, although the gateway holds one that stays denied.
    let after = restored.elapsed();
    assert!(
        after < skipped + Duration::from_millis(900),
        "{after:?}, {skipped:?}"
    );
}

#[tokio::test]
async fn a_role_that_cannot_be_assumed_is_skipped_and_its_targets_ask_to_retry() {
    let gateway = gateway(|_, options| {
        let role = |arn: &str, external_id: Option<&str>| Role {
            arn: arn.to_owned(),
            external_id: external_id.map(str::to_owned),
        };
        options.roles = vec![role(ONE, Some("secret-of-one")), role(TWO, None)];
    })
    .await;
    let accounts = load(&gateway, 40).await;
    assert!(accounts.iter().all(|account| account == "two"));
    let calls = gateway.ended(41).await;
    let refused = of("AssumeRole", &calls).filter(|call| call.error_code.is_some());
    assert_eq!(refused.count(), 1, "a refusal is remembered");

    let answer = gateway.stream(ask("only-one")).await;
    assert_eq!(answer.code(), Code::Unavailable, "{answer:?}");
    assert_eq!(answer.details().reason(), "CREDENTIALS_UNAVAILABLE");
    assert!(answer.details().retry().is_some());
    let message = answer.end.unwrap_err().message().to_owned();
    assert!(!message.contains("111122223333"), "{message}");
}

#[tokio::test]
async fn an_external_id_is_sent() {
    let gateway = gateway(|config, options| {
        let one = config.accounts.get_mut("one").unwrap();
        one.external_id = Some("secret-of-one".to_owned());
        options.roles = vec![Role {
            arn: ONE.to_owned(),
            external_id: Some("secret-of-one".to_owned()),
        }];
    })
    .await;
    gateway.stream(ask("only-one")).await.is_whole();
}

#[tokio::test]
async fn short_sessions_are_renewed_before_they_expire() {
    let lifetime = Duration::from_secs(2);
    let gateway = gateway(|config, options| {
        config.server.workers = 2;
        options.session_lifetime = Some(lifetime);
    })
    .await;
    let began = Instant::now();
    let assumed = || {
        let calls = gateway.emulator.calls();
        let mut counts = BTreeMap::<String, usize>::new();
        for call in of("AssumeRole", &calls) {
            *counts.entry(call.model_id.clone()).or_default() += 1;
        }
        counts
    };
    // Four periods of each role.
    while assumed().len() < 2 || assumed().values().any(|count| *count < 4) {
        load(&gateway, 16).await;
    }
    let periods = began.elapsed().as_secs_f64() / (lifetime.as_secs_f64() * 0.8);
    for (role, count) in assumed() {
        assert!(
            count as f64 <= periods + 1.0,
            "{role}: {count} in {periods}"
        );
    }
    let calls = gateway.emulator.calls();
    let failed: Vec<_> = of("ConverseStream", &calls)
        .filter(|call| call.error_code.is_some())
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Ten minutes of load with sessions of one minute, renewed after 48 s.
#[tokio::test]
#[ignore = "takes ten minutes"]
async fn sessions_of_a_minute_over_ten_minutes_fail_no_call() {
    let lifetime = Duration::from_secs(60);
    let gateway = gateway(|config, options| {
        config.server.workers = 2;
        options.session_lifetime = Some(lifetime);
        options.keep_calls = 100_000;
    })
    .await;
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    let mut made = 0;
    while began.elapsed() < Duration::from_secs(600) {
        ticks.tick().await;
        made += load(&gateway, 8).await.len();
    }
    let calls = gateway.emulator.calls();
    let failed = calls.iter().filter(|call| call.error_code.is_some());
    assert_eq!(failed.count(), 0);
    assert_eq!(of("ConverseStream", &calls).count(), made);
    for role in [ONE, TWO] {
        let assumed = of("AssumeRole", &calls).filter(|call| call.model_id == role);
        let assumed = assumed.count();
        // One at the beginning, and one after each 48 s.
        assert!((12..=13).contains(&assumed), "{role}: {assumed}");
    }
    println!("{made} calls");
}

#[tokio::test]
async fn a_session_that_aws_no_longer_accepts_is_replaced_within_the_call() {
    let gateway = gateway(|_, _| {}).await;
    gateway.stream(ask("only-one")).await.is_whole();
    gateway.emulator.forget_sessions();
    let answer = gateway.stream(ask("only-one")).await;
    answer.is_whole();
    let calls = gateway.ended(5).await;
    assert_eq!(of("AssumeRole", &calls).count(), 2);
}

#[tokio::test]
async fn callers_have_sessions_with_their_names_and_tags() {
    const LONG: &str = "system:serviceaccount:team-a:web";
    let keys = [key_of(), key_of(), key_of(), key_of()];
    let names = [LONG, "search", "plain", "elsewhere"];
    let callers: Vec<_> = names.into_iter().zip(&keys).collect();
    let gateway = gateway(|config, _| {
        config.access = access_of(&callers);
        let mut session = |name: &str, session: CallerSession| {
            config.access.callers.get_mut(name).unwrap().session = session;
        };
        let tags = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            pairs.collect::<BTreeMap<_, _>>()
        };
        session(
            LONG,
            CallerSession {
                role_arn: None,
                session_tags: tags(&[("team", "a")]),
            },
        );
        session(
            "search",
            CallerSession {
                role_arn: Some("arn:aws:iam::111122223333:role/search".to_owned()),
                session_tags: tags(&[]),
            },
        );
        session(
            "elsewhere",
            CallerSession {
                role_arn: Some("arn:aws:iam::777788889999:role/elsewhere".to_owned()),
                session_tags: tags(&[]),
            },
        );
        let one = config.accounts.get_mut("one").unwrap();
        one.session_tags = tags(&[("stage", "test")]);
    })
    .await;
    let mut made = Vec::new();
    for (target, key) in [
        ("only-one", &keys[0]),
        ("only-one", &keys[1]),
        ("only-one", &keys[2]),
        // The last one is the gateway's own account.
        ("nova", &keys[2]),
        ("nova", &keys[3]),
    ] {
        gateway.emulator.clear_calls();
        gateway.stream(keyed(ask(target), key)).await.is_whole();
        let calls = gateway.emulator.calls();
        let call = of("ConverseStream", &calls).next().unwrap();
        made.push((call.assumed_role.clone(), call.session_tags.clone()));
    }
    let tags = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect::<Vec<_>>()
    };
    let [long, search, plain, own, elsewhere] = &made[..] else {
        panic!("{made:?}");
    };
    let role = long.0.as_deref().unwrap();
    assert!(
        role.starts_with(
            "arn:aws:sts::111122223333:assumed-role/bedrock/system-serviceaccount-team-a-web-"
        ),
        "{role}"
    );
    assert_eq!(
        long.1,
        tags(&[("caller", LONG), ("stage", "test"), ("team", "a")])
    );
    assert_eq!(
        search.0.as_deref(),
        Some("arn:aws:sts::111122223333:assumed-role/search/search")
    );
    assert_eq!(
        plain.0.as_deref(),
        Some("arn:aws:sts::111122223333:assumed-role/bedrock/bedrock-grpc")
    );
    assert_eq!(plain.1, tags(&[("stage", "test")]));
    assert_eq!(own.0, None);
    assert_eq!(
        elsewhere.0.as_deref(),
        Some("arn:aws:sts::777788889999:assumed-role/elsewhere/elsewhere")
    );
}

#[tokio::test]
async fn a_failure_of_one_callers_session_concerns_no_other_caller() {
    let keys = [key_of(), key_of()];
    let gateway = gateway(|config, options| {
        config.access = access_of(&[("denied", &keys[0]), ("plain", &keys[1])]);
        config.access.callers.get_mut("denied").unwrap().session = CallerSession {
            role_arn: Some("arn:aws:iam::111122223333:role/missing".to_owned()),
            ..CallerSession::default()
        };
        options.roles = [ONE, TWO]
            .map(|arn| Role {
                arn: arn.to_owned(),
                external_id: None,
            })
            .to_vec();
    })
    .await;
    let mut accounts = BTreeMap::<(usize, String), usize>::new();
    for _ in 0..20 {
        for (index, key) in keys.iter().enumerate() {
            let answer = gateway.stream(keyed(ask("t"), key)).await;
            answer.is_whole();
            *accounts.entry((index, account_of(&answer))).or_default() += 1;
        }
    }
    assert_eq!(accounts.get(&(0, "one".to_owned())), None, "{accounts:?}");
    assert!(
        accounts.contains_key(&(1, "one".to_owned())),
        "{accounts:?}"
    );
}

#[tokio::test]
async fn profiles_are_looked_up_in_each_account() {
    let gateway = gateway(|config, _| {
        config.discovery.enabled = true;
        let profile = RouteOptions {
            accounts: vec!["two".to_owned()],
            ..route("us.amazon.nova-lite-v1:0", "us-east-1", 1)
        };
        config
            .targets
            .aliases
            .insert("p".to_owned(), over(vec![profile]));
    })
    .await;
    let calls = soon(
        gateway
            .emulator
            .wait_for(|calls| of("ListInferenceProfiles", calls).count() >= 5),
    )
    .await;
    let listed: BTreeSet<_> = of("ListInferenceProfiles", &calls)
        .map(|call| (call.account.as_str(), call.region.as_str()))
        .collect();
    assert!(
        listed.contains(&("444455556666", "us-east-1")),
        "{listed:?}"
    );
    assert!(
        listed.contains(&("123456789012", "us-east-1")),
        "{listed:?}"
    );
}

#[tokio::test]
async fn an_arn_is_called_in_the_account_that_owns_it() {
    let gateway = gateway(|_, _| {}).await;
    let arn = "arn:aws:bedrock:us-east-1:444455556666:inference-profile/us.amazon.nova-lite-v1:0";
    let answer = gateway.stream(ask(arn)).await;
    answer.is_whole();
    assert_eq!(account_of(&answer), "two");
}
