//! One client cannot use up what others need: slots, memory, connections, watches, time.

use std::{net::Ipv4Addr, time::Duration};

use bedrock_grpc::config::{Config, Network};
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tonic::Code;

use crate::{
    harness::{Gateway, MODEL, ask, question, soon},
    support::{Child, Client, Open, STREAM_INVOKE, Upstream, message},
};

const WATCH: &str = "/grpc.health.v1.Health/Watch";
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// A gateway that trusts `x-forwarded-for` from this machine.
async fn gateway(change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::with(|config, _| {
        config.server.trusted_proxies.forwarded_for_from =
            vec![Network::parse("127.0.0.1").unwrap()];
        change(config);
    })
    .await
}

const ONE: &[(&str, &str)] = &[("x-forwarded-for", "192.0.2.1")];
const TWO: &[(&str, &str)] = &[("x-forwarded-for", "192.0.2.2")];

/// Waits until the gateway has seen everything that was sent on this connection.
async fn seen(client: &mut Client) {
    let check = client.call(CHECK, &[], &()).await;
    assert_eq!(check.code().await, Code::Ok);
}

async fn silent(client: &mut Client, who: &[(&str, &str)], count: usize) -> Vec<Open> {
    let mut calls = Vec::new();
    for _ in 0..count {
        calls.push(client.headers(STREAM_INVOKE, who).await);
    }
    seen(client).await;
    calls
}

#[tokio::test]
async fn calls_without_a_message_give_their_places_to_others() {
    let gateway = gateway(|config| config.limits.max_streams = 8).await;
    let mut client = Client::connect(gateway.address).await;
    let mut attacker = silent(&mut client, ONE, 8).await;
    let call = client.call(STREAM_INVOKE, TWO, &ask(MODEL)).await;
    assert_eq!(call.code().await, Code::Ok);
    // The gateway has ended the oldest of these calls.
    let status = attacker.remove(0).status().await;
    status.is(Code::Unavailable, "REPLICA_SATURATED");
    assert!(status.details().retry().is_some());
}

#[tokio::test]
async fn a_client_that_sends_nothing_loses_its_call_by_time() {
    let gateway = gateway(|config| {
        config.limits.receive_idle = Duration::from_millis(300);
        config.limits.max_streams = 3;
    })
    .await;
    let mut client = Client::connect(gateway.address).await;
    let mut half = client.headers(STREAM_INVOKE, ONE).await;
    half.send(Bytes::from_static(&[0, 0, 1]), false);
    let mut open_end = client.headers(STREAM_INVOKE, ONE).await;
    open_end.send(message(&ask(MODEL)), false);
    let nothing = client.headers(STREAM_INVOKE, ONE).await;
    for mut call in [half, open_end, nothing] {
        call.status().await.is(Code::Aborted, "CLIENT_STALLED");
    }
    assert_eq!(gateway.emulator.calls(), []);
    let call = client.call(STREAM_INVOKE, ONE, &ask(MODEL)).await;
    assert_eq!(call.code().await, Code::Ok);
    // The same applies to calls of other services.
    let check = client.headers(CHECK, ONE).await;
    assert_ne!(check.code().await, Code::Ok);
}

#[tokio::test]
async fn memory_is_shared_and_given_back() {
    const PART: usize = 1 << 20;
    let gateway = gateway(|config| config.limits.memory = Some(4 * PART)).await;
    let mut client = Client::connect(gateway.address).await;
    // The declared length of a message takes no memory by itself.
    let mut claims = Vec::new();
    for _ in 0..100 {
        let mut call = client.headers(STREAM_INVOKE, ONE).await;
        call.send(Bytes::from_static(&[0, 2, 0, 0, 0]), false);
        claims.push(call);
    }
    seen(&mut client).await;
    let call = client.call(STREAM_INVOKE, TWO, &ask(MODEL)).await;
    assert_eq!(call.code().await, Code::Ok);
    drop(claims);
    // Four requests that never end hold nearly everything. Each has a separate connection, because
    // of HTTP/2's windows.
    let mut clients = Vec::new();
    let mut parts = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(gateway.address).await;
        let mut call = client.headers(STREAM_INVOKE, ONE).await;
        call.send(Bytes::from_static(&[0, 1, 0, 0, 0]), false);
        call.send(vec![0; PART - (64 << 10)].into(), false);
        parts.push(call);
        clients.push(client);
    }
    // The gateway accepts another client's request of a megabyte, and ends a request of the first
    // client.
    let mut request = ask(MODEL);
    request.input = Some(question(&"word ".repeat(PART / 10)));
    let answered = async {
        loop {
            let mut call = client.call(STREAM_INVOKE, TWO, &request).await;
            let status = call.status().await;
            if status.status.code() == Code::Ok {
                return;
            }
            status.is(Code::Unavailable, "REPLICA_SATURATED");
        }
    };
    soon(answered).await;
    // This message is larger than the whole memory budget.
    let mut large = ask(MODEL);
    large.input = Some(question(&"word ".repeat(PART)));
    let mut call = client.call(STREAM_INVOKE, TWO, &large).await;
    call.status()
        .await
        .is(Code::Unavailable, "REPLICA_SATURATED");
    assert!(
        gateway
            .metric("bedrock_grpc_limited_total{what=\"memory\"}")
            .await
            > 0.5
    );
}

#[tokio::test]
async fn watches_are_limited_and_end_with_their_connection() {
    let gateway = gateway(|config| {
        config.limits.max_watches = 2;
        config.limits.connection_age = Duration::from_secs(1);
    })
    .await;
    let mut client = Client::connect(gateway.address).await;
    let first = client.call(WATCH, ONE, &()).await;
    let _second = client.call(WATCH, ONE, &()).await;
    seen(&mut client).await;
    let mut third = client.call(WATCH, ONE, &()).await;
    third
        .status()
        .await
        .is(Code::Unavailable, "REPLICA_SATURATED");
    // Another client takes the place of the older one.
    let _other = client.call(WATCH, TWO, &()).await;
    assert_eq!(first.code().await, Code::Unavailable);
    // When the connection reaches its maximum age, all of them end, and the connection closes.
    soon(client.ended()).await.unwrap();
}

#[tokio::test]
async fn connections_are_limited_and_the_client_with_most_makes_room() {
    let gateway = gateway(|config| {
        config.limits.max_connections = 3;
        config.server.trusted_proxies.proxy_protocol_from = Vec::new();
    })
    .await;
    let from = async |host: u8| {
        let socket = TcpSocket::new_v4().unwrap();
        let address = Ipv4Addr::new(127, 0, 0, host);
        socket.bind((address, 0).into()).unwrap();
        soon(socket.connect(gateway.address)).await.unwrap()
    };
    let mut first = Vec::new();
    for _ in 0..3 {
        first.push(Client::over(from(2).await).await);
    }
    for client in &mut first {
        seen(client).await;
    }
    // Another connection of the same client is closed.
    let mut refused = from(2).await;
    assert_eq!(soon(refused.read(&mut [0])).await.unwrap_or(0), 0);
    // The gateway accepts another client, and closes the oldest connection of the first one.
    let mut other = Client::over(from(3).await).await;
    seen(&mut other).await;
    let oldest = first.remove(0);
    soon(oldest.ended()).await.unwrap();
    seen(&mut first[0]).await;
}

#[tokio::test]
async fn the_proxy_protocol_names_the_client() {
    let gateway = Gateway::with(|config, _| {
        config.server.trusted_proxies.proxy_protocol_from =
            vec![Network::parse("127.0.0.0/8").unwrap()];
        config.limits.max_streams = 2;
    })
    .await;
    let through = async |client: &str| {
        let mut tcp = soon(TcpStream::connect(gateway.address)).await.unwrap();
        let header = format!("PROXY TCP4 {client} 10.0.0.1 1000 443\r\n");
        tcp.write_all(header.as_bytes()).await.unwrap();
        Client::over(tcp).await
    };
    let mut one = through("192.0.2.1").await;
    let mut silent = silent(&mut one, &[], 2).await;
    let mut same = through("192.0.2.1").await;
    let mut call = same.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    call.status()
        .await
        .is(Code::Unavailable, "REPLICA_SATURATED");
    let mut two = through("192.0.2.2").await;
    let call = two.call(STREAM_INVOKE, &[], &ask(MODEL)).await;
    assert_eq!(call.code().await, Code::Ok);
    let status = silent.remove(0).status().await;
    status.is(Code::Unavailable, "REPLICA_SATURATED");
    // Without the header, a connection of a trusted proxy is closed.
    let mut bare = soon(TcpStream::connect(gateway.address)).await.unwrap();
    bare.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(soon(bare.read(&mut [0])).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn one_log_line_says_that_a_client_was_limited() {
    let upstream = Upstream::start().await;
    let mut gateway = Child::serve(&upstream.endpoint_url(), "limits:\n  max_streams: 2").await;
    let mut client = Client::connect(gateway.address).await;
    let _silent = silent(&mut client, &[], 2).await;
    for _ in 0..50 {
        let mut call = client.headers(STREAM_INVOKE, &[]).await;
        call.status()
            .await
            .is(Code::Unavailable, "REPLICA_SATURATED");
    }
    let line = gateway.logged("a client was refused").await;
    assert!(
        line.contains("127.0.0.1") && line.contains("open calls"),
        "{line}"
    );
    drop(client);
    gateway.terminate().await;
    let more = gateway.rest_of_log().await;
    let again = more
        .iter()
        .filter(|line| line.contains("a client was refused"));
    assert!(again.count() <= 1, "{more:#?}");
}
