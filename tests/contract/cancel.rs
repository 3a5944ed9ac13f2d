//! When a client leaves, the gateway closes the call to Bedrock immediately or, if configured,
//! within limits.

use std::time::{Duration, Instant};

use bedrock_emulator::End;
use bedrock_grpc::{
    config::{Config, OnCancel},
    pb::{InvokeModelRequest, StreamInvokeModelRequest},
};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tonic::Code;

use crate::{
    harness::{Gateway, MODEL, alias, ask, faulty, invoke, paced, soon},
    support::{
        Client, INVOKE, INVOKE_MODEL, Open, STREAM_INVOKE, STREAM_INVOKE_MODEL, Upstream, begun,
        left, metric_becomes, within,
    },
};

/// The time that the contract allows between the end of the client and the end of the call to
/// Bedrock.
const AT_ONCE: Duration = Duration::from_millis(100);

/// The ways in which clients leave.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leave {
    Cancel,
    Disconnect,
}

/// Returns the time from the end of the client to the end of the call to Bedrock.
async fn outlives(gateway: &Gateway, fault: &str, path: &str, leave: Leave) -> Duration {
    gateway.emulator.clear_calls();
    let mut client = Client::connect(gateway.address).await;
    let request = faulty(fault);
    let call = if path == INVOKE {
        client.call(path, &[], &invoke(request)).await
    } else {
        client.call(path, &[], &request).await
    };
    // An event for each delta, and `messageStart`.
    let events = fault.strip_prefix("stall-after-").map_or(0, |deltas| {
        let deltas: u64 = deltas.parse().unwrap();
        if deltas == 0 { 0 } else { deltas + 1 }
    });
    begun(&gateway.emulator, events).await;
    outlives_after(gateway, client, call, leave).await
}

/// The same for a call that is open.
async fn outlives_after(
    gateway: &Gateway,
    client: Client,
    mut call: Open,
    leave: Leave,
) -> Duration {
    let left_at = Instant::now();
    match leave {
        Leave::Cancel => call.cancel(),
        Leave::Disconnect => client.disconnect().await,
    }
    left(&gateway.emulator, 1).await.0 - left_at
}

async fn closes_at_once(gateway: Gateway) {
    for leave in [Leave::Cancel, Leave::Disconnect] {
        for path in [STREAM_INVOKE, INVOKE] {
            for fault in ["stall-before-headers", "stall-after-0", "stall-after-3"] {
                within(AT_ONCE, || outlives(&gateway, fault, path, leave)).await;
            }
        }
    }
    metric_becomes(&gateway, "bedrock_grpc_open_calls", 0.0).await;
}

#[tokio::test]
async fn bedrocks_call_closes_within_100_ms() {
    closes_at_once(Gateway::start().await).await;
}

/// A request for a model with a body in its own format.
const NATIVE: &str = "us.anthropic.claude-sonnet-5";
const BODY: &str = r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens":40,"messages":[{"role":"user","content":"Hi"}]}"#;

/// A gateway with aliases of a model that takes bodies in its own format, one for each fault.
async fn of_models(faults: &[&str], change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::with(|config, _| {
        for fault in faults {
            let mut target = alias(&format!("{NATIVE}.fault-{fault}"));
            target.invoke_model = true;
            config.targets.aliases.insert((*fault).to_owned(), target);
        }
        change(config);
    })
    .await
}

#[tokio::test]
async fn calls_of_models_in_their_own_format_close_at_once() {
    const STREAM: [&str; 3] = ["stall-before-headers", "stall-after-0", "stall-after-3"];
    let gateway = of_models(&STREAM, |_| {}).await;
    for leave in [Leave::Cancel, Leave::Disconnect] {
        for fault in STREAM {
            within(AT_ONCE, || async {
                gateway.emulator.clear_calls();
                let mut client = Client::connect(gateway.address).await;
                let request = StreamInvokeModelRequest {
                    target: fault.to_owned(),
                    body: BODY.into(),
                    ..StreamInvokeModelRequest::default()
                };
                let call = client.call(STREAM_INVOKE_MODEL, &[], &request).await;
                let events = u64::from(fault == "stall-after-3");
                begun(&gateway.emulator, events).await;
                outlives_after(&gateway, client, call, leave).await
            })
            .await;
        }
        within(AT_ONCE, || async {
            gateway.emulator.clear_calls();
            let mut client = Client::connect(gateway.address).await;
            let request = InvokeModelRequest {
                target: "stall-before-headers".to_owned(),
                body: BODY.into(),
                ..InvokeModelRequest::default()
            };
            let call = client.call(INVOKE_MODEL, &[], &request).await;
            begun(&gateway.emulator, 0).await;
            outlives_after(&gateway, client, call, leave).await
        })
        .await;
    }
    metric_becomes(&gateway, "bedrock_grpc_open_calls", 0.0).await;
}

#[tokio::test]
async fn an_answer_of_a_model_that_has_begun_closes_at_once() {
    let upstream = tokio::sync::Mutex::new(Upstream::start().await);
    let endpoint_url = upstream.lock().await.endpoint_url();
    let gateway = of_models(&["none"], |config| {
        config.bedrock.endpoint_url = Some(endpoint_url);
    })
    .await;
    for leave in [Leave::Cancel, Leave::Disconnect] {
        within(AT_ONCE, || async {
            let mut client = Client::connect(gateway.address).await;
            let request = InvokeModelRequest {
                target: "none".to_owned(),
                body: BODY.into(),
                ..InvokeModelRequest::default()
            };
            let mut call = client.call(INVOKE_MODEL, &[], &request).await;
            let mut exchange = upstream.lock().await.exchange().await;
            soon(exchange.tcp.write_all(b"5\r\n{\"a\":\r\n"))
                .await
                .unwrap();
            let left_at = Instant::now();
            match leave {
                Leave::Cancel => call.cancel(),
                Leave::Disconnect => client.disconnect().await,
            }
            exchange.closed().await;
            left_at.elapsed()
        })
        .await;
    }
    metric_becomes(&gateway, "bedrock_grpc_open_calls", 0.0).await;
}

#[tokio::test]
async fn deltas_that_are_held_back_do_not_keep_a_call_open() {
    let gateway = Gateway::start().await;
    let mut request = faulty("stall-after-3");
    request.coalesce = Duration::from_secs(1).try_into().ok();
    for leave in [Leave::Cancel, Leave::Disconnect] {
        within(AT_ONCE, || async {
            gateway.emulator.clear_calls();
            let mut client = Client::connect(gateway.address).await;
            let mut call = client.call(STREAM_INVOKE, &[], &request).await;
            // The starts of the message and of the block, and the first delta.
            call.read_messages(3).await;
            begun(&gateway.emulator, 4).await;
            outlives_after(&gateway, client, call, leave).await
        })
        .await;
    }
    metric_becomes(&gateway, "bedrock_grpc_open_calls", 0.0).await;
}

#[tokio::test]
async fn over_http2_as_well() {
    closes_at_once(Gateway::over_h2(|_, _| {}).await).await;
}

#[tokio::test]
async fn other_calls_of_the_connection_continue() {
    let gateway = Gateway::start().await;
    let mut client = Client::connect(gateway.address).await;
    let mut stays = client
        .call(STREAM_INVOKE, &[], &faulty("stall-after-2"))
        .await;
    stays.read_messages(2).await;
    let mut goes = client
        .call(STREAM_INVOKE, &[], &faulty("stall-after-3"))
        .await;
    begun(&gateway.emulator, 4).await;
    goes.cancel();
    let ends = |calls: &[bedrock_emulator::Call]| {
        let mut ends: Vec<_> = calls.iter().map(|call| call.end).collect();
        ends.sort_by_key(Option::is_some);
        ends == [None, Some(End::ClientGone)]
    };
    soon(gateway.emulator.wait_for(|calls| ends(calls))).await;
    // The connection still accepts calls.
    let status = client
        .call(STREAM_INVOKE, &[], &ask("nova"))
        .await
        .status()
        .await;
    assert_eq!(status.status.code(), Code::Ok);
}

fn drains(time: Duration, tokens: u32) -> impl FnOnce(&mut Config) {
    move |config| config.limits.on_cancel = OnCancel::DrainForUsage { time, tokens }
}

/// Cancels a stream of this model in the middle.
async fn cancel_in_mid_stream(gateway: &Gateway, target: &str) {
    let mut client = Client::connect(gateway.address).await;
    let mut call = client.call(STREAM_INVOKE, &[], &ask(target)).await;
    call.read_messages(3).await;
    call.cancel();
    // The connection stays open until the gateway has received the reset.
    metric_becomes(gateway, "bedrock_grpc_open_calls", 0.0).await;
}

#[tokio::test]
async fn draining_for_usage_reads_to_metadata() {
    let mut upstream = Upstream::start().await;
    let endpoint_url = upstream.endpoint_url();
    let gateway = Gateway::with(|config, _| {
        drains(Duration::from_secs(60), 4_096)(config);
        config.bedrock.endpoint_url = Some(endpoint_url);
    })
    .await;
    let mut client = Client::connect(gateway.address).await;
    let mut call = client.call(STREAM_INVOKE, &[], &ask("nova")).await;
    let mut exchange = upstream.exchange().await;
    exchange
        .send("messageStart", json!({"role": "assistant"}))
        .await;
    call.read_messages(1).await;
    call.cancel();
    // This answer arrives after the gateway has received the reset. So the rest of Bedrock's answer
    // arrives after the cancel.
    let known = client.call("/grpc.health.v1.Health/Check", &[], &()).await;
    assert_eq!(known.code().await, Code::Ok);
    let open = "bedrock_grpc_open_upstream_calls";
    assert!((gateway.metric(open).await - 1.0).abs() < 0.5);
    exchange.token("word").await;
    exchange.finish().await;
    let cancelled = "bedrock_grpc_cancelled_total{usage=\"known\"}";
    metric_becomes(&gateway, cancelled, 1.0).await;
    let tokens = "bedrock_grpc_tokens_total{target=\"nova\",kind=\"output\"}";
    assert!((gateway.metric(tokens).await - 1.0).abs() < 0.5);
    metric_becomes(&gateway, open, 0.0).await;
}

#[tokio::test]
async fn draining_for_usage_ends_after_its_time() {
    let time = Duration::from_millis(500);
    let gateway = Gateway::with(|config, _| drains(time, 4_096)(config)).await;
    let begun = Instant::now();
    cancel_in_mid_stream(&gateway, &format!("{MODEL}.fault-stall-after-5")).await;
    left(&gateway.emulator, 1).await;
    assert!(begun.elapsed() >= time);
    let cancelled = "bedrock_grpc_cancelled_total{usage=\"unknown\"}";
    metric_becomes(&gateway, cancelled, 1.0).await;
}

#[tokio::test]
async fn draining_for_usage_ends_after_its_tokens() {
    let gateway = Gateway::with(|config, options| {
        drains(Duration::from_secs(60), 5)(config);
        options.pace = paced(Duration::from_millis(20), 2_000);
    })
    .await;
    cancel_in_mid_stream(&gateway, "nova").await;
    let (_, calls) = left(&gateway.emulator, 1).await;
    // Far fewer than all 2,000 tokens were sent, even if the gateway noticed the cancel late.
    assert!(calls[0].events_sent < 1_000, "{}", calls[0].events_sent);
    let cancelled = "bedrock_grpc_cancelled_total{usage=\"unknown\"}";
    metric_becomes(&gateway, cancelled, 1.0).await;
}

#[tokio::test]
async fn a_client_that_vanished_is_noticed() {
    let second = Duration::from_secs(1);
    let gateway = Gateway::with(|config, _| {
        config.limits.keepalive_interval = second;
        config.limits.keepalive_timeout = second;
    })
    .await;
    let mut client = Client::connect(gateway.address).await;
    let mut call = client
        .call(STREAM_INVOKE, &[], &faulty("stall-after-3"))
        .await;
    call.read_messages(3).await;
    client.freeze();
    let frozen = Instant::now();
    let (ended, _) = left(&gateway.emulator, 1).await;
    let noticed = ended - frozen;
    // Interval and timeout take two seconds. The next limit that would end the call is two minutes.
    assert!(noticed < 20 * second, "{noticed:?}");
    metric_becomes(&gateway, "bedrock_grpc_open_calls", 0.0).await;
}

#[tokio::test]
async fn a_client_that_answers_pings_may_be_silent() {
    let short = Duration::from_millis(200);
    // The time limit for the answer to a ping, on a busy machine.
    let timeout = Duration::from_secs(2);
    let gateway = Gateway::with(|config, _| {
        config.limits.keepalive_interval = short;
        config.limits.keepalive_timeout = timeout;
        config.limits.idle = 2 * timeout;
    })
    .await;
    let mut client = Client::connect(gateway.address).await;
    let mut call = client
        .call(STREAM_INVOKE, &[], &faulty("stall-after-3"))
        .await;
    // The stream ends because Bedrock is silent, not because of the client.
    let status = call.status().await;
    status.is(Code::Unavailable, "UPSTREAM_IDLE");
}
