//! Random sequences of configurations, with calls all the time: each call behaves as exactly one of
//! them says, and no call uses an earlier configuration than the call before it.

use std::{collections::HashMap, time::Duration};

use bedrock_emulator::Options;
use bedrock_grpc::pb::stream_invoke_response::Event;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{REFUSED, RELOADED, Reloading};
use crate::harness::{Answer, Stream, ask, paced, soon};

const MODELS: [&str; 3] = [
    "amazon.nova-lite-v1:0",
    "amazon.nova-micro-v1:0",
    "amazon.nova-pro-v1:0",
];
/// The number of changes in a sequence. Each takes about 0.7 seconds.
const CHANGES: usize = 10;
/// The number of clients, each of which makes one call after the other.
const CLIENTS: usize = 4;

/// A configuration. Each part of it shows in a call.
#[derive(Clone, Debug)]
struct Plan {
    model: &'static str,
    max_tokens: u64,
    price: i64,
    description: Option<u8>,
}

impl Plan {
    fn sections(&self, number: usize) -> String {
        let (model, max_tokens, price) = (self.model, self.max_tokens, self.price);
        let extra = self.description.map_or_else(String::new, |extra| {
            format!("  other: {{model_id: '{model}', description: 'number {extra}'}}\n")
        });
        format!(
            "targets:\n  one: {{model_id: '{model}', defaults: {{max_tokens: {max_tokens}}}}}\n{extra}\
             request_metadata: {{set: {{plan: '{number}'}}}}\n\
             prices: [{{models: ['*'], input: {price}, output: {price}}}]\n"
        )
    }
}

/// A change: another configuration, or sections with a mistake, which are refused.
type Change = Result<Plan, &'static str>;

fn plan() -> impl Strategy<Value = Plan> {
    (
        prop::sample::select(&MODELS[..]),
        1..20_u64,
        1..1_000_i64,
        prop::option::of(any::<u8>()),
    )
        .prop_map(|(model, max_tokens, price, description)| Plan {
            model,
            max_tokens,
            price,
            description,
        })
}

fn change() -> impl Strategy<Value = Change> {
    const MISTAKES: [&str; 4] = [
        "targets: [",
        "targets: {one: {}}\n",
        "workers: 0\n",
        "limits: {max_attempts: none}\n",
    ];
    prop_oneof![
        3 => plan().prop_map(Ok),
        1 => prop::sample::select(&MISTAKES[..]).prop_map(Err),
    ]
}

/// What a client has seen of a call.
struct Seen {
    bedrock_request_id: String,
    model_id: String,
    cost: i64,
    tokens: i64,
}

fn seen(answer: &Answer) -> Seen {
    answer.is_whole();
    let (mut start, mut metadata) = (None, None);
    for event in answer.events() {
        match event {
            Event::MessageStart(event) => start = Some(event),
            Event::Metadata(event) => metadata = Some(event),
            _ => {}
        }
    }
    let (start, metadata) = (start.unwrap(), metadata.unwrap());
    let usage = metadata.metadata.as_ref().unwrap().usage.as_ref().unwrap();
    Seen {
        bedrock_request_id: start.bedrock_request_id.clone(),
        model_id: start.target.as_ref().unwrap().model_id.clone(),
        cost: metadata.estimated_cost.unwrap().nano_usd,
        tokens: i64::from(usage.input_tokens() + usage.output_tokens()),
    }
}

/// Applies the changes while clients make calls, and checks each call.
async fn check(first: Plan, changes: Vec<Change>) {
    let options = Options {
        pace: paced(Duration::from_millis(1), 5),
        ..Options::default()
    };
    let mut gateway = Reloading::with(&first.sections(0), options).await;
    let client = gateway.client().await;
    let stop = CancellationToken::new();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut client, stop) = (client.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut calls, mut is_last) = (Vec::new(), false);
                while !is_last {
                    // The last call begins after the last change.
                    is_last = stop.is_cancelled();
                    let stream = Stream::open(&mut client, ask("one")).await;
                    calls.push(seen(&stream.end().await));
                }
                calls
            })
        })
        .collect();
    let mut plans = vec![first];
    for (index, change) in changes.into_iter().enumerate() {
        match change {
            Ok(plan) => {
                let sections = plan.sections(plans.len());
                gateway.becomes(&sections, RELOADED).await;
                plans.push(plan);
            }
            Err(mistake) => {
                // The same text twice would be no change.
                let sections = format!("{mistake}\n# {index}\n");
                gateway.becomes(&sections, REFUSED).await;
            }
        }
    }
    stop.cancel();
    let calls = gateway.emulator.calls();
    let by_id: HashMap<_, _> = calls
        .iter()
        .map(|call| (call.request_id.as_str(), call))
        .collect();
    let mut used = vec![false; plans.len()];
    for client in clients {
        let mut last = 0;
        for seen in soon(client).await.unwrap() {
            let calls;
            let call = match by_id.get(seen.bedrock_request_id.as_str()) {
                Some(call) => *call,
                // It began after the emulator's calls were listed.
                None => {
                    calls = gateway.emulator.calls();
                    let id = &seen.bedrock_request_id;
                    calls.iter().find(|call| call.request_id == *id).unwrap()
                }
            };
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            let number: usize = body["requestMetadata"]["plan"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            let plan = &plans[number];
            assert_eq!(call.model_id, plan.model, "{number}");
            assert_eq!(seen.model_id, plan.model, "{number}");
            assert_eq!(body["inferenceConfig"]["maxTokens"], plan.max_tokens);
            assert_eq!(seen.cost, seen.tokens * plan.price, "{number}");
            assert!(number >= last, "{number} after {last}");
            last = number;
            used[number] = true;
        }
    }
    assert_eq!(used, vec![true; plans.len()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_behaves_as_one_configuration_says() {
    // A failure prints the sequence. It is not shortened, because each one takes seconds.
    let mut runner = TestRunner::new(Config::default());
    for _ in 0..2 {
        let changes = prop::collection::vec(change(), CHANGES);
        let tree = (plan(), changes).new_tree(&mut runner).unwrap();
        let (first, changes) = tree.current();
        println!("{first:?}, then {changes:#?}");
        check(first, changes).await;
    }
}
