//! Connections that never use gRPC block no others, and old connections end gracefully.

use std::time::{Duration, Instant};

use bedrock_grpc::config::{Config, Tls};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tonic::{
    Code,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

use crate::{
    harness::{Gateway, Stream, ask, faulty, soon},
    support::{
        Child, Client, STREAM_INVOKE, Upstream, begun, left, message,
        wire::{
            DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PREFACE, RST_STREAM,
            Wire, call_headers, frame,
        },
    },
};

/// A limit for silent clients; other clients stay within it on a busy machine as well.
const SHORT: Duration = Duration::from_secs(2);

async fn impatient(config: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::with(|all, _| {
        all.limits.handshake = SHORT;
        config(all);
    })
    .await
}

/// Reads until the gateway closes, and returns what it sent.
async fn closed(mut io: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut said = Vec::new();
    // A reset counts as an end, too.
    let _end = soon(io.read_to_end(&mut said)).await;
    said
}

async fn still_serves(gateway: &Gateway) {
    gateway.stream(ask("nova")).await.is_whole();
}

#[tokio::test]
async fn what_is_no_http2_is_closed() {
    let gateway = impatient(|_| {}).await;
    // The start of a TLS handshake: record, version, length, and ClientHello.
    let tls = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 500]].concat();
    let settings_are_missing = [PREFACE, &[0xff; 64]].concat();
    for garbage in [
        &b"GARBAGE\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/1.1\r\n\r\n",
        &[0; 1 << 10],
        &tls,
        &settings_are_missing,
    ] {
        let mut tcp = gateway.connect().await;
        tcp.write_all(garbage).await.unwrap();
        let said = String::from_utf8_lossy(&closed(tcp).await).into_owned();
        assert!(!said.starts_with("HTTP/1.1 200"), "{said}");
    }
    still_serves(&gateway).await;
}

#[tokio::test]
async fn who_begins_and_says_no_more_is_closed_in_time() {
    let gateway = impatient(|config| {
        config.limits.keepalive_interval = SHORT;
        config.limits.keepalive_timeout = SHORT;
    })
    .await;
    let begun = Instant::now();
    let mut beginnings = Vec::new();
    for beginning in [
        &b""[..],
        b"P",
        &PREFACE[..PREFACE.len() - 1],
        b"POST / HTTP/1.1\r\nhost: gate",
        // The connection is complete, but does not answer pings.
        PREFACE,
    ] {
        let mut tcp = gateway.connect().await;
        tcp.write_all(beginning).await.unwrap();
        beginnings.push((beginning, tcp));
    }
    for (beginning, tcp) in beginnings {
        closed(tcp).await;
        assert!(
            begun.elapsed() >= SHORT.mul_f64(0.9),
            "{:?} after {beginning:?}",
            begun.elapsed()
        );
    }
    still_serves(&gateway).await;
}

#[tokio::test]
async fn a_tls_handshake_that_stalls_is_closed_in_time() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = tempfile::tempdir().unwrap();
    let (certificate_file, key_file) = (files.path().join("c.pem"), files.path().join("k.pem"));
    std::fs::write(&certificate_file, made.cert.pem()).unwrap();
    std::fs::write(&key_file, made.signing_key.serialize_pem()).unwrap();
    let gateway = impatient(|config| {
        config.server.tls = Some(Tls {
            certificate_file,
            key_file,
            clients: None,
        });
    })
    .await;
    // Silence, the start of a record, and something other than TLS.
    let mut beginnings = Vec::new();
    for beginning in [&b""[..], &[0x16, 3, 1, 2, 0, 1], PREFACE] {
        let mut tcp = gateway.connect().await;
        tcp.write_all(beginning).await.unwrap();
        beginnings.push(tcp);
    }
    for tcp in beginnings {
        closed(tcp).await;
    }
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(made.cert.pem()))
        .domain_name("localhost");
    let channel = Endpoint::from_shared(format!("https://{}", gateway.address))
        .unwrap()
        .tls_config(tls)
        .unwrap()
        .connect_lazy();
    let mut client =
        bedrock_grpc::pb::inference_service_client::InferenceServiceClient::new(channel);
    Stream::open(&mut client, ask("nova"))
        .await
        .end()
        .await
        .is_whole();
}

#[tokio::test]
async fn an_old_connection_goes_away_and_its_stream_does_not_notice() {
    let age = Duration::from_secs(2);
    let mut upstream = Upstream::start().await;
    let endpoint_url = upstream.endpoint_url();
    let gateway = Gateway::with(|config, _| {
        config.limits.connection_age = age;
        config.bedrock.endpoint_url = Some(endpoint_url);
    })
    .await;
    let born = Instant::now();
    let mut client = Client::connect(gateway.address).await;
    let mut call = client.call(STREAM_INVOKE, &[], &ask("nova")).await;
    let mut exchange = upstream.exchange().await;
    exchange
        .send("messageStart", json!({"role": "assistant"}))
        .await;
    call.read_messages(1).await;
    // New calls are refused while the stream continues.
    let refused = soon(async {
        let mut tokens = 0;
        loop {
            match client.try_headers(STREAM_INVOKE, &[]).await {
                Ok(mut accepted) => accepted.cancel(),
                Err(error) => return error,
            }
            exchange.token("word").await;
            tokens += 1;
            // The start of the block arrives with its first token.
            call.read_messages(tokens + 2).await;
        }
    })
    .await;
    assert!(refused.is_go_away(), "{refused}");
    assert!(born.elapsed() >= age.mul_f64(0.9), "{:?}", born.elapsed());
    // The stream continues after the GOAWAY.
    let before = call.messages.len();
    exchange.token("word").await;
    call.read_messages(before + 1).await;
    exchange.finish().await;
    assert_eq!(call.status().await.status.code(), Code::Ok);
    client.ended().await.unwrap();
    // A client library opens another connection by itself.
    let next = tokio::spawn(async move { gateway.stream(ask("nova")).await });
    let exchange = async {
        let mut exchange = upstream.exchange().await;
        exchange
            .send("messageStart", json!({"role": "assistant"}))
            .await;
        exchange.token("word").await;
        exchange.finish().await;
    };
    soon(exchange).await;
    soon(next).await.unwrap().is_whole();
}

#[tokio::test]
async fn connections_that_began_together_do_not_end_together() {
    let age = Duration::from_secs(1);
    let gateway = Gateway::with(|config, _| config.limits.connection_age = age).await;
    let mut connections = JoinSet::new();
    for _ in 0..20 {
        // The time is taken before the gateway's timer starts. Otherwise, the connection would seem
        // to end too early.
        let born = Instant::now();
        let mut wire = Wire::connect(gateway.address).await;
        connections.spawn(async move {
            wire.next_of(GOAWAY).await.unwrap();
            let lived = born.elapsed();
            assert!(wire.next_of(HEADERS).await.is_none());
            lived
        });
    }
    let lived = connections.join_all().await;
    let (least, most) = (*lived.iter().min().unwrap(), *lived.iter().max().unwrap());
    assert!(least >= age.mul_f64(0.85), "{least:?}");
    // The ages may differ by a fifth. It is very unlikely that 20 of them differ by less than a
    // tenth of that.
    assert!(most - least >= age / 50, "{least:?} to {most:?}");
}

#[tokio::test]
async fn rapid_resets_close_their_connection_and_no_other() {
    let gateway = Gateway::start().await;
    let mut other = Client::connect(gateway.address).await;
    let mut open = other
        .call(STREAM_INVOKE, &[], &faulty("stall-after-3"))
        .await;
    open.read_messages(3).await;

    let mut flood = Vec::new();
    for stream in (1..=20_001).step_by(2) {
        flood.extend_from_slice(&frame(HEADERS, END_HEADERS, stream, &call_headers()));
        flood.extend_from_slice(&frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    let wire = Wire::connect(gateway.address).await;
    let flooded = wire.flood(&flood, 1).await;
    assert!(flooded.closed, "{flooded:?}");
    // The reset of the socket may overtake the message.
    if let Some(last) = flooded.errors.last() {
        assert_eq!(*last, ENHANCE_YOUR_CALM);
    }
    let closed = r#"bedrock_grpc_limited_total{what="frames"}"#;
    crate::support::metric_becomes(&gateway, closed, 1.0).await;

    assert_eq!(
        other
            .call(STREAM_INVOKE, &[], &ask("nova"))
            .await
            .status()
            .await
            .status
            .code(),
        Code::Ok
    );
    gateway.emulator.clear_calls();
    open.cancel();
    crate::support::metric_becomes(&gateway, "bedrock_grpc_open_calls", 0.0).await;
}

#[tokio::test]
async fn a_half_closed_client_still_gets_its_answer() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::connect(gateway.address).await;
    let request = message(&ask("nova"));
    wire.send(&frame(HEADERS, END_HEADERS, 1, &call_headers()))
        .await;
    wire.send(&frame(DATA, END_STREAM, 1, &request)).await;
    loop {
        let frame = wire.next().await.unwrap();
        if frame.stream == 1 && frame.flags & END_STREAM != 0 {
            assert_eq!(frame.kind, HEADERS);
            break;
        }
    }
    assert_eq!(gateway.ended(1).await.len(), 1);
}

#[tokio::test]
async fn the_gateway_recovers_when_it_ran_out_of_descriptors() {
    let mut upstream = Upstream::start().await;
    let mut gateway = Child::with_descriptors(64, &upstream.endpoint_url()).await;
    let mut idle = Vec::new();
    // The kernel accepts connections for the gateway while its queue has room.
    for _ in 0..100 {
        idle.push(soon(TcpStream::connect(gateway.address)).await.unwrap());
    }
    gateway
        .logged("cannot accept connections at the moment")
        .await;
    drop(idle);
    let mut client = Client::connect(gateway.address).await;
    let mut call = client
        .call(STREAM_INVOKE, &[], &ask(crate::harness::MODEL))
        .await;
    let mut exchange = upstream.exchange().await;
    exchange
        .send("messageStart", json!({"role": "assistant"}))
        .await;
    exchange.token("word").await;
    exchange.finish().await;
    assert_eq!(call.status().await.status.code(), Code::Ok);
    assert!(gateway.runs());
}

#[tokio::test]
async fn a_reset_before_the_message_is_complete_calls_no_model() {
    let gateway = Gateway::start().await;
    let mut client = Client::connect(gateway.address).await;
    let mut call = client.headers(STREAM_INVOKE, &[]).await;
    let request = message(&faulty("stall-after-3"));
    call.send(request.slice(..request.len() - 1), false);
    call.cancel();
    let mut next = client
        .call(STREAM_INVOKE, &[], &faulty("stall-after-3"))
        .await;
    begun(&gateway.emulator, 4).await;
    next.cancel();
    let (_, calls) = left(&gateway.emulator, 1).await;
    assert_eq!(calls.len(), 1);
}
