//! Several routes of one target: which one is called, when another one is called, and what callers
//! and operators see.

mod failover;
mod fences;
mod profiles;
mod settings;

use std::time::Duration;

use bedrock_emulator::Call;
use bedrock_grpc::{
    config::{Alias, Config},
    pb::{GetTargetRequest, MessageStartEvent, Route, stream_invoke_response::Event},
};

use crate::harness::{Answer, Gateway, soon};

const PROFILE: &str = "us.amazon.nova-lite-v1:0";
const THROTTLED: &str = "amazon.nova-lite-v1:0.fault-throttling";

async fn gateway(change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::with(|config, _| change(config)).await
}

async fn with_target(alias: Alias) -> Gateway {
    gateway(|config| {
        config.targets.aliases.insert("t".to_owned(), alias);
    })
    .await
}

fn start(answer: &Answer) -> MessageStartEvent {
    match answer.events().next() {
        Some(Event::MessageStart(start)) => start.clone(),
        _ => panic!("{:?}", answer.shape()),
    }
}

async fn routes(gateway: &Gateway, name: &str) -> Vec<Route> {
    let request = GetTargetRequest {
        target: name.to_owned(),
    };
    let target = gateway.targets().get_target(request).await.unwrap();
    target.into_inner().target.unwrap().routes
}

/// Repeats the query until what the gateway knows of a target is as expected.
pub(crate) async fn until(
    gateway: &Gateway,
    name: &str,
    wanted: impl Fn(&[Route]) -> bool,
) -> Vec<Route> {
    soon(async {
        loop {
            let routes = routes(gateway, name).await;
            if wanted(&routes) {
                return routes;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

fn called(calls: &[Call]) -> Vec<(&str, &str)> {
    calls
        .iter()
        .filter(|call| call.operation == "ConverseStream")
        .map(|call| (call.model_id.as_str(), call.region.as_str()))
        .collect()
}
