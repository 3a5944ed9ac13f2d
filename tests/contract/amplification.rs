//! Work, memory and log lines must not grow faster than the request that causes them.

use std::{
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use bedrock_grpc::pb::{GetTargetRequest, InvokeRequest, RawMember, StreamInvokeRequest};
use bytes::Bytes;
use prost::Message;
use serde_json::{Map, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;

use crate::{
    harness::{Gateway, MODEL, ask, question, soon},
    support::{Child, Client, INVOKE, STREAM_INVOKE, Upstream},
};

/// Much more than linear work takes without optimisation, and much less than quadratic work takes.
const LINEAR: Duration = Duration::from_secs(3);

/// A gateway with several aliases, among which names are searched.
async fn gateway() -> (Upstream, Child) {
    let upstream = Upstream::start().await;
    let aliases = format!(
        "targets: {{claude: {{model_id: {MODEL}}}, claude-haiku: {{model_id: {MODEL}}}, team-chat: {{model_id: {MODEL}}}}}"
    );
    let gateway = Child::serve(&upstream.endpoint_url(), &aliases).await;
    (upstream, gateway)
}

/// Sends a request that is refused. Returns the gateway's CPU time for it, which does not depend on
/// the load of the machine.
async fn refused(gateway: &Child, path: &str, request: &impl Message) -> Duration {
    let mut client = Client::connect(gateway.address).await;
    let before = gateway.cpu();
    let mut call = client.call(path, &[], request).await;
    let status = call.status().await;
    status.is(Code::InvalidArgument, "INVALID_REQUEST");
    gateway.cpu() - before
}

#[tokio::test]
async fn the_length_of_a_target_is_checked_before_it_is_searched_for() {
    let (_upstream, gateway) = gateway().await;
    for name in ["x", "us.", "arn:aws:bedrock:", "é"] {
        let request = StreamInvokeRequest {
            target: name.repeat((4 << 20) / name.len()),
            input: Some(question("Hello")),
            ..StreamInvokeRequest::default()
        };
        let took = refused(&gateway, STREAM_INVOKE, &request).await;
        assert!(took < LINEAR, "{name}: {took:?}");
    }
    // TargetService takes small messages only.
    let request = GetTargetRequest {
        target: "x".repeat(10 << 10),
    };
    let took = refused(
        &gateway,
        "/bedrock.inference.v1.TargetService/GetTarget",
        &request,
    )
    .await;
    assert!(took < LINEAR, "{took:?}");
}

#[tokio::test]
async fn a_near_name_is_still_proposed() {
    let (_upstream, gateway) = gateway().await;
    let request = StreamInvokeRequest {
        target: "cluade".to_owned(),
        ..ask(MODEL)
    };
    let mut client = Client::connect(gateway.address).await;
    let status = client
        .call(STREAM_INVOKE, &[], &request)
        .await
        .status()
        .await;
    status.is(Code::NotFound, "TARGET_UNKNOWN");
    assert!(status.status.message().contains("`claude`"), "{status:?}");
}

#[tokio::test]
async fn thousands_of_wrong_raw_members_are_refused_as_fast_as_they_are_read() {
    let (_upstream, gateway) = gateway().await;
    for (pointer, json) in [
        ("/n", "1"),
        ("/messages/0/role", "1"),
        ("/a/b", "1"),
        ("/n", ""),
    ] {
        let mut request = ask(MODEL);
        request.input.get_or_insert_default().raw_members = vec![
            RawMember {
                pointer: pointer.to_owned(),
                json: json.to_owned(),
            };
            16_000
        ];
        let took = refused(&gateway, STREAM_INVOKE, &request).await;
        assert!(took < LINEAR, "{pointer}: {took:?}");
    }
}

#[tokio::test]
async fn an_unknown_event_is_logged_once_per_call_and_type() {
    let mut upstream = Upstream::start().await;
    let mut gateway = Child::serve(&upstream.endpoint_url(), "").await;
    let mut client = Client::connect(gateway.address).await;
    for _ in 0..2 {
        let mut call = client.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
        let mut exchange = upstream.exchange().await;
        exchange
            .send("messageStart", json!({"role": "assistant"}))
            .await;
        for n in 0..200 {
            let kind = if n % 2 == 0 { "newEvent" } else { "otherEvent" };
            exchange.send(kind, json!({"n": n})).await;
        }
        exchange.token("word").await;
        exchange.finish().await;
        assert_eq!(call.status().await.status.code(), Code::Ok);
    }
    gateway.terminate().await;
    let lines = gateway.rest_of_log().await;
    for kind in ["newEvent", "otherEvent"] {
        let count = lines.iter().filter(|line| line.contains(kind)).count();
        assert_eq!(count, 2, "{kind} in {lines:#?}");
    }
}

#[tokio::test]
async fn half_requests_to_the_admin_port_are_closed() {
    let gateway = Gateway::start().await;
    let mut halves = Vec::new();
    for begin in [
        &b""[..],
        b"GET /livez HTTP/1.1\r\nhost: x\r\n",
        b"PRI * HTTP",
    ] {
        let mut tcp = tokio::net::TcpStream::connect(gateway.admin).await.unwrap();
        tcp.write_all(begin).await.unwrap();
        halves.push(tcp);
    }
    for mut tcp in halves {
        let mut rest = Vec::new();
        // HTTP/1.1 may send a 408 before it closes the connection.
        let _end = soon(tcp.read_to_end(&mut rest)).await;
    }
    assert_eq!(crate::harness::get(gateway.admin, "/livez").await.1, "ok");
}

#[tokio::test]
async fn one_address_does_not_keep_probes_from_the_admin_port() {
    let gateway = Gateway::start().await;
    let mut halves = Vec::new();
    for _ in 0..300 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut tcp = socket.connect(gateway.admin).await.unwrap();
        // The gateway closes the connections beyond its limit.
        let _sent = tcp.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\n").await;
        halves.push(tcp);
    }
    let before = std::time::Instant::now();
    assert_eq!(crate::harness::get(gateway.admin, "/livez").await.1, "ok");
    // Connections with an incomplete request are closed after 10 s.
    assert!(before.elapsed() < Duration::from_secs(5));
    drop(halves);
}

#[tokio::test]
async fn the_answers_that_invoke_collects_share_the_memory_budget() {
    let mut upstream = Upstream::start().await;
    let gateway = Child::serve(&upstream.endpoint_url(), "limits: {memory: 16MiB}").await;
    let mut client = Client::connect(gateway.address).await;
    let request = InvokeRequest {
        target: MODEL.to_owned(),
        input: Some(question("Hello")),
    };
    let text = "x".repeat(1 << 20);
    for _ in 0..3 {
        let mut call = client.call(INVOKE, &[], &request).await;
        let mut exchange = upstream.exchange().await;
        exchange
            .send("messageStart", json!({"role": "assistant"}))
            .await;
        let mut sent = 0;
        while exchange.try_token(&text).await.is_ok() {
            sent += 1;
        }
        let status = call.status().await;
        status.is(Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
        let why = status.status.message();
        assert!(why.contains("no memory"), "{sent} MiB: {why}");
        // The memory was released, so the same amount is available for the next answer.
        assert!((7..16).contains(&sent), "{sent} MiB");
    }
}

/// A field of a message, encoded.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![tag << 3 | 2];
    prost::encode_length_delimiter(content.len(), &mut field).unwrap();
    field.extend_from_slice(content);
    field
}

#[tokio::test]
async fn small_parts_of_a_large_message_are_counted_before_they_are_decoded() {
    const SIZE: usize = 31 << 20;
    let upstream = Upstream::start().await;
    let gateway = Child::serve(&upstream.endpoint_url(), "limits: {memory: 128MiB}").await;
    let mut client = Client::connect(gateway.address).await;
    // An empty message in two bytes: a content block of a message, a message, a system block, a
    // tool and a raw member.
    for (name, input) in [
        ("content", field(1, &[0x12, 0].repeat(SIZE / 2))),
        ("messages", [0x0a, 0].repeat(SIZE / 2)),
        ("system", [0x12, 0].repeat(SIZE / 2)),
        ("tools", field(4, &[0x0a, 0].repeat(SIZE / 2))),
        ("raw members", [0x5a, 0].repeat(SIZE / 2)),
    ] {
        let request = [field(1, MODEL.as_bytes()), field(2, &input)].concat();
        let before = gateway.cpu();
        let mut call = client.headers(STREAM_INVOKE, &[]).await;
        call.send(framed(&request), true);
        let status = call.status().await;
        let took = gateway.cpu() - before;
        assert!(
            [
                Code::ResourceExhausted,
                Code::InvalidArgument,
                Code::Internal
            ]
            .contains(&status.status.code()),
            "{name}: {:?}",
            status.status
        );
        assert!(took < LINEAR, "{name}: {took:?}");
    }
    let peak = gateway.peak_memory() >> 20;
    assert!(peak < 128 + 64, "{peak} MiB");
}

/// A message that is encoded already, with gRPC's prefix.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), message].concat().into()
}

#[tokio::test]
async fn a_large_request_does_not_delay_the_tokens_of_others() {
    let mut upstream = Upstream::start().await;
    let gateway = Child::serve(&upstream.endpoint_url(), "limits: {heartbeat: 0s}").await;
    // Both calls are on one connection, so they are on the same thread of the gateway.
    let mut client = Client::connect(gateway.address).await;
    let mut call = client.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    let mut exchange = upstream.exchange().await;
    let start = json!({"role": "assistant"});
    exchange.send("messageStart", start).await;
    exchange.token("0").await;
    call.read_messages(3).await;
    let large = StreamInvokeRequest {
        input: Some(question(&"\u{e9}\n".repeat(4 << 20))),
        ..ask(MODEL)
    };
    let begun = Instant::now();
    let large = client.call(STREAM_INVOKE, &[], &large).await;
    let mut arrived = pin!(upstream.exchange());
    let (mut longest, mut tokens) = (Duration::ZERO, 0);
    // Bedrock is called when the whole message was received, checked and translated.
    let large_exchange = loop {
        let sent = Instant::now();
        exchange.token("x").await;
        call.read_messages(4 + tokens).await;
        tokens += 1;
        longest = longest.max(sent.elapsed());
        if let Poll::Ready(arrived) = futures_util::poll!(&mut arrived) {
            break arrived;
        }
    };
    let all = begun.elapsed();
    println!("{tokens} tokens in {all:?}, the latest after {longest:?}");
    assert!(longest < all / 2, "{longest:?} of {all:?}");
    drop((large, large_exchange));
}

#[tokio::test]
async fn an_event_with_too_many_members_ends_the_call() {
    let mut upstream = Upstream::start().await;
    let gateway = Child::serve(&upstream.endpoint_url(), "limits: {memory: 64MiB}").await;
    let mut client = Client::connect(gateway.address).await;
    let mut call = client.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    let mut exchange = upstream.exchange().await;
    exchange
        .send("messageStart", json!({"role": "assistant"}))
        .await;
    let mut event: Map<_, _> = (0..300_000)
        .map(|index| (format!("m{index}"), json!(1)))
        .collect();
    event.insert("contentBlockIndex".to_owned(), json!(0));
    event.insert("delta".to_owned(), json!({"text": "Hi"}));
    exchange.send("contentBlockDelta", event.into()).await;
    let status = call.status().await;
    status.is(Code::DataLoss, "UPSTREAM_CORRUPT");
    let peak = gateway.peak_memory() >> 20;
    assert!(peak < 64 + 64, "{peak} MiB");
}
