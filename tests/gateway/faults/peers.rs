//! Peers that speak another protocol, or send nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Gateway, MODEL, ask, soon};

#[tokio::test]
async fn connections_without_http_are_closed() {
    let gateway = Gateway::start().await;
    let hello = [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        &[7; 600],
    ]
    .concat();
    let half_a_preface = b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec();
    let preface_and_noise = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0xff; 600]].concat();
    for bytes in [
        hello,
        half_a_preface,
        preface_and_noise,
        vec![0; 600],
        b"GET\r\n\r\n".to_vec(),
    ] {
        let mut socket = gateway.connect().await;
        socket.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        // A reset also closes the connection.
        let _ = soon(socket.read_to_end(&mut answer)).await;
    }
    gateway.stream(ask(MODEL)).await.is_whole();
}

#[tokio::test]
async fn a_silent_client_is_closed_by_a_limit() {
    let gateway = Gateway::with(|config, _| config.limits.handshake = Duration::from_secs(1)).await;
    let mut sockets = Vec::new();
    for bytes in [&b""[..], b"PRI * HT", b"POST / HTTP/1.1\r\nhost: x\r\n"] {
        let mut socket = gateway.connect().await;
        socket.write_all(bytes).await.unwrap();
        sockets.push(socket);
    }
    for mut socket in sockets {
        let mut answer = Vec::new();
        let _ = soon(socket.read_to_end(&mut answer)).await;
    }
    gateway.stream(ask(MODEL)).await.is_whole();
}

#[tokio::test]
async fn a_silent_client_does_not_delay_the_exit() {
    let mut gateway =
        Gateway::with(|config, _| config.limits.handshake = Duration::from_secs(600)).await;
    let _silent = gateway.connect().await;
    gateway.stream(ask(MODEL)).await.is_whole();
    gateway.stop.drain.cancel();
    gateway.finished().await;
}
