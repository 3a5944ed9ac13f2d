//! Large events and answers of Bedrock take memory from the budget, and streams wait for it.

use std::time::Duration;

use bedrock_grpc::pb::{
    ApplyGuardrailRequest, CountTokensRequest, GuardrailContentSource,
    GuardrailConverseContentBlock, GuardrailConverseTextBlock, InvokeRequest, StreamInvokeRequest,
    content_block_delta_event::Delta, guardrail_converse_content_block::Content,
    stream_invoke_response::Event,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    harness::{MODEL, ask, question},
    support::{
        APPLY_GUARDRAIL, COUNT_TOKENS, Child, Client, Exchange, INVOKE, Open, STREAM_INVOKE,
        Upstream,
    },
};

const MIB: usize = 1 << 20;
/// The memory that the process may use in addition to its budget.
const EXTRA: usize = 64 * MIB;

/// A call whose answer has begun.
async fn begun(client: &mut Client, upstream: &mut Upstream) -> (Open, Exchange) {
    let call = client.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    let mut exchange = upstream.exchange().await;
    let start = json!({"role": "assistant"});
    exchange.send("messageStart", start).await;
    (call, exchange)
}

/// Sends one large event and the end of the answer, as fast as the gateway reads them.
async fn answer(mut exchange: Exchange, text: &str) {
    exchange.token(text).await;
    exchange.finish().await;
}

/// Sends an event of 3 MiB, or as much of it as the gateway reads.
async fn large(mut exchange: Exchange) -> Exchange {
    let _sent = exchange.try_token(&"x".repeat(3 * MIB)).await;
    exchange
}

#[tokio::test]
async fn large_events_share_the_memory_budget() {
    const CALLS: usize = 20;
    let mut upstream = Upstream::start().await;
    let gateway = Child::serve(&upstream.endpoint_url(), "limits: {memory: 64MiB}").await;
    let mut client = Client::connect(gateway.address).await;
    let text = "x".repeat(8 * MIB);
    let (mut answers, mut calls) = (JoinSet::new(), JoinSet::new());
    for _ in 0..CALLS {
        let (call, exchange) = begun(&mut client, &mut upstream).await;
        calls.spawn(call.code());
        let text = text.clone();
        answers.spawn(async move { answer(exchange, &text).await });
    }
    answers.join_all().await;
    let codes = calls.join_all().await;
    assert_eq!(codes, [Code::Ok; CALLS]);
    let peak = gateway.peak_memory();
    println!("{} MiB at its peak", peak / MIB);
    assert!(peak < 64 * MIB + EXTRA, "{} MiB", peak / MIB);
}

/// Half of the characters of a large event are escapes, so that decoding takes long.
fn escapes(bytes: usize) -> String {
    "\n".repeat(bytes / 2)
}

/// The texts of the deltas that have arrived.
fn texts(call: &Open) -> Vec<&str> {
    let deltas = call.messages.iter().filter_map(|message| {
        let Some(Event::ContentBlockDelta(delta)) = &message.event else {
            return None;
        };
        match &delta.delta {
            Some(Delta::Text(text)) => Some(&**text),
            _ => None,
        }
    });
    deltas.collect()
}

/// A call of which the first delta has arrived.
async fn with_a_delta(client: &mut Client, upstream: &mut Upstream) -> (Open, Exchange) {
    let (mut call, mut exchange) = begun(client, upstream).await;
    exchange.token("first").await;
    // The starts of the message and of the block, and the delta.
    call.read_messages(3).await;
    (call, exchange)
}

#[tokio::test]
async fn a_large_event_does_not_delay_other_streams() {
    let mut upstream = Upstream::start().await;
    let gateway = Child::serve(&upstream.endpoint_url(), "limits: {heartbeat: 0s}").await;
    // Both calls are on one connection, so they are on the same thread of the gateway.
    let mut client = Client::connect(gateway.address).await;
    let (mut slow, mut slow_exchange) = with_a_delta(&mut client, &mut upstream).await;
    let (mut call, mut exchange) = with_a_delta(&mut client, &mut upstream).await;
    let large = escapes(8 * MIB);
    // When this returns, the gateway has received the event, except for what fits into buffers of
    // sockets.
    slow_exchange.token(&large).await;
    exchange.token("second").await;
    tokio::select! {
        biased;
        () = call.read_messages(4) => {}
        _ = slow.read() => panic!("the large event was forwarded first"),
    }
    assert_eq!(texts(&call), ["first", "second"]);
    slow_exchange.token("second").await;
    slow_exchange.finish().await;
    exchange.finish().await;
    slow.status().await;
    assert!(texts(&slow) == ["first", &large, "second"]);
    assert_eq!(call.code().await, Code::Ok);
}

#[tokio::test]
async fn a_client_that_leaves_while_its_event_is_decoded_leaves_no_memory_behind() {
    let mut upstream = Upstream::start().await;
    // Sufficient for one of the events.
    let gateway = Child::serve(&upstream.endpoint_url(), "limits: {memory: 10MiB}").await;
    let mut client = Client::connect(gateway.address).await;
    let large = escapes(4 * MIB);
    for _ in 0..3 {
        let (mut call, mut exchange) = with_a_delta(&mut client, &mut upstream).await;
        exchange.token(&large).await;
        call.cancel();
        exchange.closed().await;
    }
    let (call, mut exchange) = with_a_delta(&mut client, &mut upstream).await;
    let sent = tokio::spawn(async move {
        exchange.token(&large).await;
        exchange.finish().await;
    });
    assert_eq!(call.code().await, Code::Ok);
    sent.await.unwrap();
}

/// A gateway with a budget of 8 MiB, of which a message that its client does not read holds 3 MiB.
/// Another event of 3 MiB needs twice its size.
async fn nearly_full(more: &str) -> (Upstream, Child, Client, Open, Exchange) {
    let mut upstream = Upstream::start().await;
    let limits = format!("limits: {{memory: 8MiB{more}}}");
    let gateway = Child::serve(&upstream.endpoint_url(), &limits).await;
    // With windows of 64 KiB.
    let mut client = Client::with(gateway.address, |_| {}).await;
    let (mut call, mut exchange) = begun(&mut client, &mut upstream).await;
    exchange.token(&"x".repeat(3 * MIB)).await;
    // The first bytes of the message have arrived.
    call.read_messages(1).await;
    assert!(call.read().await.unwrap());
    (upstream, gateway, client, call, exchange)
}

#[tokio::test]
async fn a_stream_waits_for_memory_and_new_calls_are_refused() {
    let (mut upstream, mut gateway, _client, unread, held) = nearly_full("").await;
    let mut client = Client::connect(gateway.address).await;
    let (waiting, exchange) = begun(&mut client, &mut upstream).await;
    let answered = tokio::spawn(async move { answer(exchange, &"x".repeat(3 * MIB)).await });
    let line = gateway.logged("the resource is fully used").await;
    assert!(line.contains("request memory"), "{line}");

    let request = StreamInvokeRequest {
        input: Some(question(&"x".repeat(6 * MIB))),
        ..ask(MODEL)
    };
    let mut refused = client.call(STREAM_INVOKE, &[], &request).await;
    let status = refused.status().await;
    status.is(Code::Unavailable, "REPLICA_SATURATED");

    // As soon as the first client reads, both answers continue.
    let unread = tokio::spawn(unread.code());
    held.finish().await;
    assert_eq!(unread.await.unwrap(), Code::Ok);
    answered.await.unwrap();
    assert_eq!(waiting.code().await, Code::Ok);
}

#[tokio::test]
async fn a_wait_for_memory_is_not_blamed_on_bedrock() {
    let (mut upstream, gateway, _client, _unread, _held) = nearly_full(", idle: 5s").await;
    let mut client = Client::connect(gateway.address).await;
    let (mut waiting, exchange) = begun(&mut client, &mut upstream).await;
    let sent = tokio::spawn(large(exchange));
    let status = waiting.status().await;
    status.is(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    let why = status.status.message();
    assert!(why.contains("no memory"), "{why}");
    sent.await.unwrap().closed().await;
}

/// A first event of 3 MiB, with a member that has no field.
fn large_start() -> Value {
    json!({"role": "assistant", "new": "x".repeat(3 * MIB)})
}

#[tokio::test]
async fn a_first_event_that_waits_for_memory_is_not_blamed_on_bedrock() {
    const FIRST_EVENT: Duration = Duration::from_secs(5);
    let (mut upstream, mut gateway, _client, unread, held) = nearly_full(", first_event: 5s").await;
    let mut client = Client::connect(gateway.address).await;
    let waiting = client.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    let mut exchange = upstream.exchange().await;
    let sent = tokio::spawn(async move {
        exchange.send("messageStart", large_start()).await;
        answer(exchange, "text").await;
    });
    gateway.logged("the resource is fully used").await;
    tokio::time::sleep(FIRST_EVENT + Duration::from_secs(1)).await;
    // As soon as the other client reads, there is memory for the event.
    let unread = tokio::spawn(unread.code());
    held.finish().await;
    assert_eq!(unread.await.unwrap(), Code::Ok);
    assert_eq!(waiting.code().await, Code::Ok);
    sent.await.unwrap();
}

#[tokio::test]
async fn a_first_event_does_not_wait_for_memory_without_limit() {
    let (mut upstream, gateway, _client, _unread, _held) = nearly_full(", idle: 1s").await;
    let mut client = Client::connect(gateway.address).await;
    let mut waiting = client.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    let mut exchange = upstream.exchange().await;
    let sent = tokio::spawn(async move {
        let _sent = exchange.try_send("messageStart", large_start()).await;
        exchange
    });
    let status = waiting.status().await;
    status.is(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert_eq!(status.details().phase(), "before-first-event");
    sent.await.unwrap().closed().await;
}

/// Events as large as these are read and decoded in several polls of the call.
#[tokio::test]
async fn a_client_that_pauses_is_not_blamed_on_bedrock() {
    const IDLE: Duration = Duration::from_secs(2);
    for mib in [1, 5] {
        let mut upstream = Upstream::start().await;
        let limits = "limits: {memory: 400MiB, idle: 2s}";
        let gateway = Child::serve(&upstream.endpoint_url(), limits).await;
        // With windows of 64 KiB.
        let mut client = Client::with(gateway.address, |_| {}).await;
        let (mut call, mut exchange) = begun(&mut client, &mut upstream).await;
        let text = "x".repeat(mib * MIB);
        let sent = tokio::spawn({
            let text = text.clone();
            async move {
                for _ in 0..3 {
                    exchange.token(&text).await;
                }
                exchange.finish().await;
            }
        });
        // The first bytes of the first event have arrived.
        call.read_messages(1).await;
        assert!(call.read().await.unwrap());
        tokio::time::sleep(IDLE + Duration::from_millis(500)).await;
        let status = call.status().await.status;
        assert_eq!(status.code(), Code::Ok, "{mib} MiB: {status:?}");
        assert!(texts(&call) == [&text; 3], "{mib} MiB");
        sent.await.unwrap();
    }
}

#[tokio::test]
async fn invoke_does_not_wait_for_memory() {
    let (mut upstream, gateway, _client, _unread, _held) = nearly_full("").await;
    let mut client = Client::connect(gateway.address).await;
    let request = InvokeRequest {
        target: MODEL.to_owned(),
        input: Some(question("Hello")),
    };
    let mut call = client.call(INVOKE, &[], &request).await;
    let mut exchange = upstream.exchange().await;
    exchange
        .send("messageStart", json!({"role": "assistant"}))
        .await;
    let sent = tokio::spawn(large(exchange));
    let status = call.status().await;
    status.is(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    sent.await.unwrap().closed().await;
}

fn guarded() -> ApplyGuardrailRequest {
    let text = GuardrailConverseTextBlock {
        text: "text".to_owned(),
        ..GuardrailConverseTextBlock::default()
    };
    ApplyGuardrailRequest {
        target: MODEL.to_owned(),
        guardrail_identifier: Some("gr1".to_owned()),
        guardrail_version: Some("1".to_owned()),
        source: GuardrailContentSource::Output.into(),
        content: vec![GuardrailConverseContentBlock {
            content: Some(Content::Text(text)),
        }],
        ..ApplyGuardrailRequest::default()
    }
}

/// Bedrock's answer to ApplyGuardrail with a text of 3 MiB.
fn findings() -> String {
    let text = "x".repeat(3 * MIB);
    json!({"action": "NONE", "outputs": [{"text": text}], "assessments": []}).to_string()
}

#[tokio::test]
async fn an_answer_that_is_not_read_holds_memory_until_it_is_read() {
    let mut upstream = Upstream::answering("application/json").await;
    // Sufficient for one of the answers: each needs twice its size.
    let gateway = Child::serve(&upstream.endpoint_url(), "limits: {memory: 8MiB}").await;
    // With windows of 64 KiB.
    let mut slow = Client::with(gateway.address, |_| {}).await;
    let mut unread = slow.call(APPLY_GUARDRAIL, &[], &guarded()).await;
    upstream.exchange().await.answer(&findings()).await;
    unread.begun().await.unwrap();

    let mut client = Client::connect(gateway.address).await;
    let mut refused = client.call(APPLY_GUARDRAIL, &[], &guarded()).await;
    upstream.exchange().await.answer(&findings()).await;
    let status = refused.status().await;
    status.is(Code::Unavailable, "REPLICA_SATURATED");

    assert_eq!(unread.code().await, Code::Ok);
    let again = client.call(APPLY_GUARDRAIL, &[], &guarded()).await;
    upstream.exchange().await.answer(&findings()).await;
    assert_eq!(again.code().await, Code::Ok);
}

/// A budget that is smaller than the largest answer of CountTokens.
#[tokio::test]
async fn an_answer_of_count_tokens_takes_memory() {
    let mut upstream = Upstream::answering("application/json").await;
    let gateway = Child::serve(&upstream.endpoint_url(), "limits: {memory: 100KiB}").await;
    let mut client = Client::connect(gateway.address).await;
    let request = CountTokensRequest {
        target: MODEL.to_owned(),
        input: Some(question("Hello")),
    };
    for (spaces, code) in [(0, Code::Ok), (60 << 10, Code::Unavailable)] {
        let counted = client.call(COUNT_TOKENS, &[], &request).await;
        let answer = format!(r#"{{"inputTokens": 7{}}}"#, " ".repeat(spaces));
        upstream.exchange().await.answer(&answer).await;
        assert_eq!(counted.code().await, code, "{spaces} spaces");
    }
}
