//! Random sequences of configurations, with calls all the time: each call follows exactly one of
//! them, which was in use when the call began.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bedrock_emulator::{Emulator, Options};
use bedrock_grpc::{access::key::Secret, pb::stream_invoke_response::Event};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::{REFUSED, RELOADED, Reloading};
use crate::harness::{Answer, Stream, ask, key_of, keyed, paced, sha256_of, soon};

const MODELS: [&str; 3] = [
    "amazon.nova-lite-v1:0",
    "amazon.nova-micro-v1:0",
    "amazon.nova-pro-v1:0",
];
const REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];
const TARGETS: [&str; 2] = ["one", "two"];
/// The number of sequences, each with its own gateway. They run at the same time, because most
/// of a change is waiting.
const SEQUENCES: usize = 16;
/// The number of changes in a sequence. Each takes about 0.7 seconds.
const CHANGES: usize = 12;
/// The number of clients of each caller, each of which makes one call after the other.
const CLIENTS: usize = 2;

/// A route of a target.
#[derive(Clone, Copy, Debug)]
struct Route {
    model: &'static str,
    region: &'static str,
}

/// A configuration. Each part of it shows in calls.
#[derive(Clone, Debug)]
struct Plan {
    /// The routes of the first target, in order. The first one serves all calls.
    routes: Vec<Route>,
    /// The second target. `None`: there is none.
    other: Option<Route>,
    /// The number of output tokens for requests that set none.
    max_tokens: u64,
    /// The most output tokens of calls of the second caller.
    ceiling: Option<u64>,
    /// The version of the guardrail that is enforced on all calls.
    guardrail: Option<u8>,
    price: i64,
    /// Whether the second caller exists, and whether it may use the first target only.
    caller: Option<bool>,
    /// Which endpoint is called.
    endpoint: usize,
    /// Whether that is the endpoint of all Regions, or of each one.
    endpoint_by_region: bool,
}

/// How a call must end.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// It is answered by this route.
    Answer(&'static str, &'static str),
    Refused(Code),
}

impl Plan {
    fn text(&self, number: usize, keys: &[Secret; 2], endpoints: &[String; 2]) -> String {
        let route =
            |route: &Route| format!("model_id: '{}', region: {}", route.model, route.region);
        let routes = self.routes.iter().zip(1..);
        let routes: Vec<_> = routes
            .map(|(it, order)| format!("{{{}, order: {order}}}", route(it)))
            .collect();
        let defaults = format!("defaults: {{max_tokens: {}}}", self.max_tokens);
        let other = self.other.as_ref().map_or_else(String::new, |other| {
            format!("  two: {{{}, {defaults}}}\n", route(other))
        });
        let caller = self.caller.map_or_else(String::new, |is_restricted| {
            let targets = if is_restricted {
                ", targets: [one]"
            } else {
                ""
            };
            let ceiling = self.ceiling.map_or_else(String::new, |ceiling| {
                format!(", limits: {{max_tokens: {ceiling}}}")
            });
            format!(
                "  b: {{keys: [{{sha256: {}}}]{targets}{ceiling}}}\n",
                sha256_of(&keys[1])
            )
        });
        let guardrail = self.guardrail.map_or_else(String::new, |version| {
            format!(
                "guardrail: {{identifier: gr1234567890, version: '{version}', enforced: true}}\n"
            )
        });
        let url = format!("endpoint_url: '{}'", endpoints[self.endpoint]);
        let bedrock = match self.endpoint_by_region {
            false => url,
            true => {
                let regions = REGIONS.map(|region| format!("{region}: {{{url}}}"));
                format!("endpoints: {{{}}}", regions.join(", "))
            }
        };
        format!(
            "workers: 1\nallow_weaker: true\naccess: {{failures_per_minute: 1000000}}\nbedrock: {{{bedrock}}}\n{guardrail}\
             targets:\n  one: {{routes: [{}], {defaults}}}\n{other}\
             callers:\n  a: {{keys: [{{sha256: {}}}]}}\n{caller}\
             request_metadata: {{set: {{plan: '{number}'}}}}\n\
             prices: [{{models: ['*'], input: {price}, output: {price}}}]\n",
            routes.join(", "),
            sha256_of(&keys[0]),
            price = self.price,
        )
    }

    /// What happens to a call of a caller, the first or the second one, to a target.
    fn expected(&self, caller: usize, target: usize) -> Expected {
        let is_restricted = match (caller, self.caller) {
            (0, _) => false,
            (_, None) => return Expected::Refused(Code::Unauthenticated),
            (_, Some(is_restricted)) => is_restricted,
        };
        let route = match (target, self.other) {
            (0, _) => self.routes[0],
            (_, _) if is_restricted => return Expected::Refused(Code::PermissionDenied),
            (_, None) => return Expected::Refused(Code::NotFound),
            (_, Some(other)) => other,
        };
        Expected::Answer(route.model, route.region)
    }
}

/// A change: another configuration, or sections with a mistake, which are refused.
type Change = Result<Plan, &'static str>;

fn route() -> impl Strategy<Value = Route> {
    let parts = (
        prop::sample::select(&MODELS[..]),
        prop::sample::select(&REGIONS[..]),
    );
    parts.prop_map(|(model, region)| Route { model, region })
}

fn plan() -> impl Strategy<Value = Plan> {
    // Two routes of one target must differ.
    let routes =
        prop::collection::vec(route(), 1..3).prop_filter(
            "different routes",
            |routes| match &routes[..] {
                [one, two] => (one.model, one.region) != (two.model, two.region),
                _ => true,
            },
        );
    (
        (routes, prop::option::of(route())),
        (1..20_u64, prop::option::of(1..20_u64)),
        prop::option::of(1..10_u8),
        1..1_000_i64,
        prop::option::of(any::<bool>()),
        (0..2_usize, any::<bool>()),
    )
        .prop_map(
            |((routes, other), (max_tokens, ceiling), guardrail, price, caller, endpoint)| Plan {
                routes,
                other,
                max_tokens,
                ceiling,
                guardrail,
                price,
                caller,
                endpoint: endpoint.0,
                endpoint_by_region: endpoint.1,
            },
        )
}

fn change() -> impl Strategy<Value = Change> {
    const MISTAKES: [&str; 4] = [
        "targets: [",
        "targets: {one: {}}\n",
        "workers: 0\n",
        "limits: {max_attempts: none}\n",
    ];
    prop_oneof![
        5 => plan().prop_map(Ok),
        1 => prop::sample::select(&MISTAKES[..]).prop_map(Err),
    ]
}

/// A call, as its client has seen it.
struct Seen {
    caller: usize,
    target: usize,
    /// The first and the last configuration that can have been in use when the call arrived.
    possible: std::ops::RangeInclusive<usize>,
    answer: Answer,
}

/// The calls that Bedrock has answered, with the number of the endpoint, by their request ID.
type Calls = HashMap<String, (usize, bedrock_emulator::Call)>;

/// The configurations that are in use, by number.
#[derive(Default)]
struct Progress {
    /// The newest one that was written.
    written: AtomicUsize,
    /// The newest one that was certainly in use.
    used: AtomicUsize,
}

impl Seen {
    /// Checks a call, and returns the number of its configuration, if it shows.
    fn check(&self, plans: &[Plan], calls: &Calls) -> Option<usize> {
        let (caller, target) = (self.caller, self.target);
        let code = self.answer.code();
        if code != Code::Ok {
            let expected = Expected::Refused(code);
            let mut possible = plans[self.possible.clone()].iter();
            assert!(
                possible.any(|plan| plan.expected(caller, target) == expected),
                "{caller} {target} {code} {:?}",
                self.possible
            );
            return None;
        }
        self.answer.is_whole();
        let (mut start, mut metadata) = (None, None);
        for event in self.answer.events() {
            match event {
                Event::MessageStart(event) => start = Some(event),
                Event::Metadata(event) => metadata = Some(event),
                _ => {}
            }
        }
        let (start, metadata) = (start.unwrap(), metadata.unwrap());
        let (endpoint, call) = &calls[&start.bedrock_request_id];
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        let number = body["requestMetadata"]["plan"].as_str().unwrap();
        let number: usize = number.parse().unwrap();
        assert!(
            self.possible.contains(&number),
            "{number} {:?}",
            self.possible
        );
        let plan = &plans[number];
        let (model, region) = (call.model_id.as_str(), call.region.as_str());
        let Expected::Answer(expected_model, expected_region) = plan.expected(caller, target)
        else {
            panic!("{caller} {target}: an answer by {plan:?}");
        };
        assert_eq!(
            (model, region),
            (expected_model, expected_region),
            "{number}"
        );
        assert_eq!(start.target.as_ref().unwrap().model_id, model, "{number}");
        assert_eq!(*endpoint, plan.endpoint, "{number}");
        let ceiling = plan.ceiling.filter(|_| caller == 1);
        let max_tokens = ceiling.into_iter().chain([plan.max_tokens]).min();
        assert_eq!(body["inferenceConfig"]["maxTokens"].as_u64(), max_tokens);
        let version = &body["guardrailConfig"]["guardrailVersion"];
        let expected = plan.guardrail.map(|version| version.to_string());
        assert_eq!(version.as_str(), expected.as_deref(), "{number}");
        let usage = metadata.metadata.as_ref().unwrap().usage.as_ref().unwrap();
        let tokens = i64::from(usage.input_tokens() + usage.output_tokens());
        let cost = metadata.estimated_cost.unwrap().nano_usd;
        assert_eq!(cost, tokens * plan.price, "{number}");
        Some(number)
    }
}

/// Applies the changes while clients make calls, and checks each call. Returns the number of calls.
async fn check(first: Plan, changes: Vec<Change>) -> usize {
    let options = || Options {
        pace: paced(Duration::from_millis(1), 5),
        ..Options::default()
    };
    let other = Emulator::start(options()).unwrap();
    let emulator = Emulator::start(options()).unwrap();
    let endpoints = [emulator.endpoint_url(), other.endpoint_url()];
    let keys = Arc::new([key_of(), key_of()]);
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("config.yaml");
    let text = format!("{}{}", super::HEAD, first.text(0, &keys, &endpoints));
    std::fs::write(&path, text).unwrap();
    let mut gateway = Reloading::on(folder, path, emulator).await;
    let client = gateway.client().await;
    let stop = CancellationToken::new();
    let progress = Arc::new(Progress::default());
    let mut clients = JoinSet::new();
    for number in 0..2 * CLIENTS {
        let (mut client, stop) = (client.clone(), stop.clone());
        let (keys, progress) = (Arc::clone(&keys), Arc::clone(&progress));
        clients.spawn(async move {
            let (mut calls, mut is_last) = (Vec::new(), false);
            let caller = number % 2;
            while !is_last {
                // The last two calls begin after the last change.
                is_last = stop.is_cancelled();
                for (target, name) in TARGETS.into_iter().enumerate() {
                    let earliest = progress.used.load(Ordering::SeqCst);
                    let request = keyed(ask(name), &keys[caller]);
                    let answer = Stream::open(&mut client, request).await.end().await;
                    let latest = progress.written.load(Ordering::SeqCst);
                    calls.push(Seen {
                        caller,
                        target,
                        possible: earliest..=latest,
                        answer,
                    });
                }
            }
            calls
        });
    }
    let mut plans = vec![first];
    // On a busy machine, the clients may make no call between two changes.
    let mut own = Vec::new();
    for (index, change) in changes.into_iter().enumerate() {
        match change {
            Ok(plan) => {
                let number = plans.len();
                let sections = plan.text(number, &keys, &endpoints);
                progress.written.store(number, Ordering::SeqCst);
                gateway.becomes(&sections, RELOADED).await;
                progress.used.store(number, Ordering::SeqCst);
                plans.push(plan);
                own.push(Seen {
                    caller: 0,
                    target: 0,
                    possible: number..=number,
                    answer: gateway.stream(keyed(ask(TARGETS[0]), &keys[0])).await,
                });
            }
            Err(mistake) => {
                // The same text twice would be no change.
                let sections = format!("{mistake}\n# {index}\n");
                gateway.becomes(&sections, REFUSED).await;
            }
        }
    }
    stop.cancel();
    let mut seen = soon(clients.join_all()).await;
    seen.push(own);
    let mut calls = Calls::new();
    for (endpoint, emulator) in [&gateway.emulator, &other].into_iter().enumerate() {
        let of_endpoint = emulator.calls().into_iter();
        calls.extend(of_endpoint.map(|call| (call.request_id.clone(), (endpoint, call))));
    }
    let (mut used, mut count) = (vec![false; plans.len()], 0);
    for client in seen {
        let mut last = 0;
        for call in client {
            count += 1;
            if let Some(number) = call.check(&plans, &calls) {
                assert!(number >= last, "{number} after {last}");
                last = number;
                used[number] = true;
            }
        }
    }
    // The first one may be replaced before any call has arrived.
    assert_eq!(used[1..], vec![true; plans.len() - 1]);
    assert!(!gateway.process.log().contains("need a restart"));
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_behaves_as_one_configuration_says() {
    // A failure prints the sequences. They are not shortened, because each one takes seconds.
    let mut runner = TestRunner::new(Config::default());
    let mut sequences = JoinSet::new();
    for number in 0..SEQUENCES {
        let changes = prop::collection::vec(change(), CHANGES);
        let tree = (plan(), changes).new_tree(&mut runner).unwrap();
        let (first, changes) = tree.current();
        println!("{number}: {first:?}, then {changes:#?}");
        sequences.spawn(check(first, changes));
    }
    let mut calls = 0;
    while let Some(checked) = sequences.join_next().await {
        calls += checked.unwrap();
    }
    println!("{calls} calls");
}
