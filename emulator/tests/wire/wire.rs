//! HTTP itself: TLS with HTTP/2, limits of streams, resets, the log over HTTP, unknown paths.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bedrock_emulator::{End, Options};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::support::{MODEL, bearer_request, client, http1, http2, json, start, stream};

fn with_tls() -> Options {
    Options {
        tls_listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
        ..Options::default()
    }
}

#[tokio::test]
async fn the_plain_address_speaks_http2_with_prior_knowledge() {
    let emulator = start(Options::default());
    let tcp = TcpStream::connect(emulator.addr()).await.expect("listens");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    let base = emulator.endpoint_url();
    for model in [format!("{MODEL}.fault-reset"), MODEL.to_owned()] {
        let request = bearer_request(&base, &model, "converse-stream");
        let answer = sender.send_request(request).await.expect("headers");
        assert_eq!(answer.version(), http::Version::HTTP_2);
        let body = answer.into_body().collect().await;
        assert_eq!(body.is_ok(), model == MODEL, "{body:?}");
    }
    let versions: Vec<_> = emulator
        .calls()
        .into_iter()
        .map(|call| call.http_version)
        .collect();
    assert_eq!(versions, ["HTTP/2.0", "HTTP/2.0"]);
}

#[tokio::test]
async fn tls_speaks_http2() {
    let emulator = start(with_tls());
    let base = emulator.tls_endpoint_url().expect("TLS is on");
    let mut sender = http2(&emulator).await;
    let answer = sender
        .send_request(bearer_request(&base, MODEL, "converse-stream"))
        .await
        .expect("an answer");
    assert_eq!(answer.version(), http::Version::HTTP_2);
    assert_eq!(
        answer.headers()["content-type"],
        "application/vnd.amazon.eventstream"
    );
    let body = answer
        .into_body()
        .collect()
        .await
        .expect("a whole body")
        .to_bytes();
    assert!(body.windows(8).any(|window| window == b"metadata"));
    assert_eq!(emulator.calls()[0].http_version, "HTTP/2.0");

    let reset = bearer_request(&base, &format!("{MODEL}.fault-reset"), "converse-stream");
    let answer = sender.send_request(reset).await.expect("headers");
    let error = answer.into_body().collect().await.expect_err("a reset");
    let cause = std::error::Error::source(&error)
        .and_then(|cause| cause.downcast_ref::<h2::Error>())
        .expect("of HTTP/2");
    assert!(cause.is_reset(), "{cause}");
    let again = sender
        .send_request(bearer_request(&base, MODEL, "converse-stream"))
        .await;
    assert!(again.is_ok(), "the connection stays");
}

#[tokio::test]
async fn streams_on_a_connection_are_limited() {
    let emulator = start(Options {
        max_concurrent_streams: 2,
        ..with_tls()
    });
    let base = emulator.tls_endpoint_url().expect("TLS is on");
    let mut sender = http2(&emulator).await;
    // The limit is known after the first answer.
    let first = sender
        .send_request(bearer_request(&base, MODEL, "converse-stream"))
        .await
        .expect("an answer");
    first.into_body().collect().await.expect("a body");
    let stall = || {
        bearer_request(
            &base,
            &format!("{MODEL}.fault-stall-after-0"),
            "converse-stream",
        )
    };
    let one = sender.send_request(stall()).await.expect("headers");
    let _two = sender.send_request(stall()).await.expect("headers");
    let third = tokio::spawn(sender.send_request(bearer_request(&base, MODEL, "converse-stream")));
    let fourth = http1(&emulator, bearer_request("", MODEL, "converse-stream")).await;
    assert_eq!(fourth.status(), 200);
    assert_eq!(emulator.calls().len(), 4, "the third stream waits for room");
    drop(one);
    assert_eq!(third.await.expect("no panic").expect("room").status(), 200);
}

#[tokio::test]
async fn a_reset_is_a_tcp_reset() {
    let emulator = start(Options::default());
    let mut tcp = TcpStream::connect(emulator.addr())
        .await
        .expect("it listens");
    let body = r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}]}"#;
    let request = format!(
        "POST /model/{MODEL}.fault-reset/converse-stream HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        bedrock_emulator::DEV_BEARER_TOKEN,
        body.len()
    );
    tokio::io::AsyncWriteExt::write_all(&mut tcp, request.as_bytes())
        .await
        .expect("sent");
    let mut got = Vec::new();
    let error = tcp.read_to_end(&mut got).await.expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let got = String::from_utf8_lossy(&got);
    assert!(
        got.starts_with("HTTP/1.1 200") && got.contains("contentBlockDelta"),
        "{got}"
    );
}

#[tokio::test]
async fn one_stuck_client_does_not_keep_a_stop_waiting() {
    let emulator = start(Options {
        stop_within: Duration::from_millis(20),
        ..Options::default()
    });
    let model = format!("{MODEL}.fault-stall-after-0");
    let answer = http1(&emulator, bearer_request("", &model, "converse-stream")).await;
    assert_eq!(answer.status(), 200);
    let addr = emulator.addr();
    emulator.stop().await;
    assert!(
        TcpStream::connect(addr).await.is_err(),
        "the listener is closed"
    );
    assert!(
        answer.into_body().collect().await.is_err(),
        "the call was cut"
    );
}

#[tokio::test]
async fn the_log_is_served_over_http() {
    let emulator = start(Options::default());
    stream(&client(&emulator), MODEL, "Say hi").await;
    emulator
        .wait_for(|calls| calls[0].end == Some(End::Completed))
        .await;
    let ask = async |method: &str| {
        let request = Request::builder()
            .method(method)
            .uri("/_emulator/calls")
            .header("host", "localhost");
        http1(
            &emulator,
            request.body(Full::new(Bytes::new())).expect("a request"),
        )
        .await
    };
    let log = json(ask("GET").await).await;
    let call = &log["calls"][0];
    assert_eq!(
        (&call["operation"], &call["end"]),
        (&"ConverseStream".into(), &"Completed".into())
    );
    let body = BASE64_STANDARD
        .decode(call["body"].as_str().expect("base64"))
        .expect("base64");
    assert_eq!(&body[..], &emulator.calls()[0].body[..]);
    assert!(
        !call.to_string().contains("AWS4-HMAC-SHA256"),
        "the log holds no signature"
    );
    assert_eq!(ask("DELETE").await.status(), 200);
    assert_eq!(emulator.calls(), []);
    assert_eq!(ask("POST").await.status(), 405);
}

#[tokio::test]
async fn what_does_not_exist_or_is_no_json_is_said_so() {
    let emulator = start(Options::default());
    let ask = async |request: Request<Full<Bytes>>| {
        let answer = http1(&emulator, request).await;
        let code = answer.headers()["x-amzn-errortype"]
            .to_str()
            .expect("text")
            .split(':')
            .next()
            .map(str::to_owned);
        (answer.status().as_u16(), code.unwrap_or_default())
    };
    let unknown = bearer_request("", MODEL, "no-such-operation");
    assert_eq!(
        ask(unknown).await,
        (404, "UnknownOperationException".to_owned())
    );
    let mut broken = bearer_request("", MODEL, "converse-stream");
    *broken.body_mut() = Full::new(Bytes::from("{"));
    assert_eq!(
        ask(broken).await,
        (400, "SerializationException".to_owned())
    );
}

#[tokio::test]
async fn the_log_keeps_the_last_calls_only() {
    let emulator = start(Options {
        keep_calls: 3,
        ..Options::default()
    });
    let client = client(&emulator);
    for _ in 0..5 {
        stream(&client, MODEL, "Say hi").await;
    }
    let ids: Vec<_> = emulator.calls().iter().map(|call| call.id).collect();
    assert_eq!(ids, [3, 4, 5]);
}

#[tokio::test]
async fn a_slow_stream_is_one_byte_in_a_second() {
    let emulator = start(Options::default());
    let begun = Instant::now();
    let model = format!("{MODEL}.fault-slow-after-1");
    let answer = http1(&emulator, bearer_request("", &model, "converse-stream")).await;
    let mut body = answer.into_body();
    let mut next = async || {
        body.frame()
            .await
            .expect("more")
            .expect("no error")
            .into_data()
            .expect("data")
            .len()
    };
    let mut lengths = vec![next().await];
    while lengths.last() != Some(&1) {
        lengths.push(next().await);
    }
    assert!(
        lengths.iter().sum::<usize>() > 200,
        "whole frames come before: {lengths:?}"
    );
    // Time is measured from before the calls, so a busy machine cannot make an answer look early.
    for seconds in 1..=3 {
        assert_eq!(next().await, 1);
        let took = begun.elapsed();
        assert!(
            took > Duration::from_millis(900) * seconds,
            "{took:?} at {seconds}"
        );
    }
}
