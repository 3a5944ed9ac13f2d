//! Peers that refuse requests or break connections, and the calls that are retried.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bedrock_grpc::{
    bedrock::ModelOptions,
    config::bedrock::BedrockOptions,
    error::{Phase, Reason},
};
use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::server::{Trust, bedrock};

/// Serves each connection with a function of its number.
async fn listen<F>(
    serve: impl Fn(usize, TcpStream) -> F + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    let opened = Arc::new(AtomicUsize::new(0));
    let counter = opened.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(counter.fetch_add(1, Ordering::Relaxed), tcp));
        }
    });
    (address, opened)
}

/// Reads a complete HTTP/1.1 request whose body is `{}`.
async fn read_request(tcp: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n{}") {
        request.push(tcp.read_u8().await.expect("a request"));
    }
}

fn at(url: String) -> BedrockOptions {
    BedrockOptions {
        region: Some("us-east-1".to_owned()),
        endpoint_url: Some(url),
        ..BedrockOptions::default()
    }
}

/// An HTTP/2 peer that refuses streams on the connections for which `refuses` returns true, and
/// answers on others.
async fn http2(refuses: fn(usize) -> bool) -> (BedrockOptions, Arc<AtomicUsize>, Trust) {
    let trust = Trust::new();
    let acceptor = trust.acceptor();
    let (address, opened) = listen(move |number, tcp| {
        let acceptor = acceptor.clone();
        async move {
            let tls = acceptor.accept(tcp).await.expect("TLS");
            let mut connection = h2::server::handshake(tls).await.expect("HTTP/2");
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                if refuses(number) {
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                } else {
                    respond
                        .send_response(http::Response::new(()), true)
                        .expect("an open stream");
                }
            }
        }
    })
    .await;
    let options = BedrockOptions {
        extra_ca_file: Some(trust.path()),
        ..at(format!("https://localhost:{}", address.port()))
    };
    (options, opened, trust)
}

#[tokio::test]
async fn a_refused_stream_is_tried_again_on_a_fresh_connection() {
    let (options, opened, _trust) = http2(|connection| connection == 0).await;
    let answer = bedrock(&options)
        .converse_stream("us-east-1", "m", Bytes::from_static(b"{}"))
        .await;
    assert!(answer.expect("an answer").frames.next().await.is_none());
    assert_eq!(opened.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_stream_refused_twice_is_a_failure() {
    let (options, opened, _trust) = http2(|_| true).await;
    let answer = bedrock(&options)
        .converse_stream("us-east-1", "m", Bytes::from_static(b"{}"))
        .await;
    let failure = answer.expect_err("all streams are refused");
    assert_eq!(
        (failure.reason, failure.phase),
        (Reason::UpstreamConnect, Phase::Connect)
    );
    assert_eq!(opened.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_request_that_may_have_been_seen_is_not_sent_again() {
    let (address, opened) = listen(|_, mut tcp| async move {
        read_request(&mut tcp).await;
    })
    .await;
    let options = at(format!("http://{address}"));
    let answer = bedrock(&options)
        .converse_stream("us-east-1", "m", Bytes::from_static(b"{}"))
        .await;
    let failure = answer.expect_err("the connection broke");
    assert_eq!(
        (failure.reason, failure.phase),
        (Reason::UpstreamConnect, Phase::BeforeFirstEvent)
    );
    assert_eq!(opened.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_answer_is_a_cut() {
    let (address, _) = listen(|_, mut tcp| async move {
        read_request(&mut tcp).await;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-amzn-requestid: req-3\r\n\r\n4\r\n";
        tcp.write_all(head).await.expect("an open socket");
    })
    .await;
    let options = at(format!("http://{address}"));
    let answer = bedrock(&options)
        .converse_stream("us-east-1", "m", Bytes::from_static(b"{}"))
        .await;
    let failure = answer
        .expect("a head")
        .frames
        .next()
        .await
        .expect("an end")
        .expect_err("a cut");
    assert_eq!(failure.reason, Reason::UpstreamTruncated);
    assert_eq!(failure.upstream.expect("what is known").request_id, "req-3");
}

/// Proxies and load balancers send such responses instead of Bedrock.
#[tokio::test]
async fn web_pages_and_empty_responses_are_not_answers() {
    for head in [
        "200 OK\r\ncontent-type: text/html\r\ncontent-length: 3",
        "200 OK\r\ncontent-type: Text/HTML; charset=utf-8\r\ncontent-length: 3",
        "200 OK\r\ncontent-length: 3",
        "202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 3",
        "204 No Content",
    ] {
        let body = if head.starts_with("204") { "" } else { "<p>" };
        let (address, _) = listen(move |_, mut tcp| async move {
            read_request(&mut tcp).await;
            let response = format!("HTTP/1.1 {head}\r\n\r\n{body}");
            tcp.write_all(response.as_bytes())
                .await
                .expect("an open socket");
        })
        .await;
        let options = ModelOptions::default();
        let bedrock = bedrock(&at(format!("http://{address}")));
        let json = Bytes::from_static(b"{}");
        let invoked = bedrock.invoke_model("us-east-1", "m", &options, json.clone());
        let invoked = invoked.await.expect_err(head);
        let applied = bedrock.apply_guardrail("us-east-1", "gr1", "1", json);
        let applied = applied.await.expect_err(head);
        for (failure, operation) in [(invoked, "InvokeModel"), (applied, "ApplyGuardrail")] {
            let expected = (Reason::UpstreamUnavailable, Phase::BeforeFirstEvent);
            assert_eq!((failure.reason, failure.phase), expected, "{head}");
            assert!(failure.message.contains(operation), "{}", failure.message);
        }
    }
}
