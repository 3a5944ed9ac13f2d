//! Every way in which a source Region's endpoint can fail before the first token.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bedrock_grpc::{
    config::bedrock::Endpoints,
    pb::{
        ApplyGuardrailRequest, GetTargetRequest, GuardrailContentSource,
        GuardrailConverseContentBlock, GuardrailConverseTextBlock, InvokeModelRequest, RouteHealth,
        guardrail_converse_content_block::Content,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::Code;

use crate::harness::{Answer, Gateway, MODEL, ask, over, route, soon};

/// An endpoint that answers every request with these bytes, closes the connection, and counts the
/// requests.
struct Broken {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Broken {
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::listening(answer.into(), false).await
    }

    /// The same, but the connections stay open.
    async fn hanging(answer: impl Into<Vec<u8>>) -> Self {
        Self::listening(answer.into(), true).await
    }

    async fn listening(answer: Vec<u8>, hangs: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<AtomicUsize>::default();
        let (counter, answer) = (Arc::clone(&requests), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (answer, counter) = (Arc::clone(&answer), Arc::clone(&counter));
                tokio::spawn(async move {
                    let open = serve(tcp, answer, counter).await;
                    if let Some(mut tcp) = open.filter(|_| hangs) {
                        // Until the client closes its side.
                        let _closed = tcp.read(&mut [0]).await;
                    }
                });
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// Returns the connection after the answer.
async fn serve(
    mut tcp: TcpStream,
    answer: Arc<Vec<u8>>,
    counter: Arc<AtomicUsize>,
) -> Option<TcpStream> {
    let mut request = Vec::new();
    let head = loop {
        let mut buffer = [0; 4096];
        let length = tcp.read(&mut buffer).await.unwrap_or_default();
        if length == 0 {
            return None;
        }
        request.extend_from_slice(&buffer[..length]);
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
    let length: usize = text
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next()?.parse().ok())
        .unwrap();
    let mut rest = vec![0; length.saturating_sub(request.len() - head)];
    tcp.read_exact(&mut rest).await.unwrap();
    counter.fetch_add(1, Ordering::Relaxed);
    // A client that has seen enough closes the connection.
    tcp.write_all(&answer).await.ok()?;
    Some(tcp)
}

fn http(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A gateway whose target has these Regions. The emulator is the endpoint of those that are not
/// broken.
async fn gateway(regions: &[&str], broken: &[(&str, &Broken)]) -> Gateway {
    Gateway::with(|config, _| {
        for (region, endpoint) in broken {
            let endpoints = Endpoints {
                endpoint_url: Some(format!("http://{}", endpoint.address)),
                ..Endpoints::default()
            };
            config
                .bedrock
                .endpoints
                .insert((*region).to_owned(), endpoints);
        }
        let routes = regions.iter().zip(1..);
        let routes = routes.map(|(region, order)| route(MODEL, region, order));
        config
            .targets
            .aliases
            .insert("t".to_owned(), over(routes.collect()));
    })
    .await
}

/// Breaks a status into what callers see of it.
fn told(answer: &Answer) -> (Code, String, bool) {
    let details = answer.details();
    (answer.code(), details.reason(), details.retry().is_some())
}

const HTML: &str = "content-type: text/html\r\n";

/// Answers that say that this endpoint is out of order, without one of Bedrock's names for errors.
fn outages() -> Vec<(&'static str, String)> {
    let page = "<html>Service Unavailable</html>";
    let mut outages = Vec::new();
    for status in [
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
        "599 Odd",
        "301 Moved Permanently",
        "302 Found",
        "304 Not Modified",
        "307 Temporary Redirect",
        "407 Proxy Authentication Required",
        "408 Request Timeout",
    ] {
        let location = "location: https://elsewhere.example/\r\ncontent-type: text/plain\r\n";
        outages.push((status, http(status, location, "sorry")));
        outages.push((status, http(status, HTML, page)));
        outages.push((status, http(status, "", "")));
        let json = "content-type: application/json\r\n";
        outages.push((status, http(status, json, r#"{"message":null}"#)));
    }
    let stream = "content-type: application/vnd.amazon.eventstream\r\n";
    outages.extend([
        ("200 with HTML", http("200 OK", HTML, page)),
        (
            "200 with JSON",
            http("200 OK", "content-type: application/json\r\n", "{}"),
        ),
        (
            "200 with text",
            http("200 OK", "content-type: text/plain\r\n", "hello"),
        ),
        ("200 with an unnamed page", http("200 OK", "", page)),
        ("200 with nothing", http("200 OK", "", "")),
        ("200 with an empty stream", http("200 OK", stream, "")),
        ("204", http("204 No Content", "", "")),
        ("206", http("206 Partial Content", stream, "x")),
        (
            "101",
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"
                .to_owned(),
        ),
        (
            "103 and then 503",
            format!("HTTP/1.1 103 Early Hints\r\n\r\n{}", http("503 x", "", "")),
        ),
    ]);
    outages
}

#[tokio::test]
async fn an_outage_without_a_name_fails_over_and_counts_for_the_route() {
    for (name, answer) in outages() {
        let broken = Broken::answering(answer).await;
        let gateway = gateway(&["us-east-1", "us-west-2"], &[("us-east-1", &broken)]).await;
        for _ in 0..5 {
            gateway.stream(ask("t")).await.is_whole();
        }
        assert_eq!(broken.requests(), 5, "{name}");
        // Five failures open the breaker, and a call skips the Region. On a slow machine, probes
        // can be due before that call. The time between probes doubles.
        let mut calls = 5;
        let skips = async {
            loop {
                let before = broken.requests();
                gateway.stream(ask("t")).await.is_whole();
                calls += 1;
                if broken.requests() == before {
                    break;
                }
            }
        };
        soon(skips).await;
        assert_eq!(gateway.ended(calls).await.len(), calls, "{name}");
    }
}

/// What a proxy sends in Bedrock's place is not an answer of any operation.
#[tokio::test]
async fn a_web_page_or_an_empty_response_fails_over_for_unary_operations() {
    let page = "<html>Service Unavailable</html>";
    for answer in [
        http("200 OK", HTML, page),
        http("200 OK", "", page),
        http("200 OK", "", ""),
        http("204 No Content", "", ""),
    ] {
        let broken = Broken::answering(&*answer).await;
        let gateway = Gateway::with(|config, _| {
            let endpoints = Endpoints {
                endpoint_url: Some(format!("http://{}", broken.address)),
                ..Endpoints::default()
            };
            let endpoint = ("us-east-1".to_owned(), endpoints);
            config.bedrock.endpoints.extend([endpoint]);
            let model = "amazon.titan-embed-text-v2:0";
            let regions = ["us-east-1", "us-west-2"].into_iter().zip(1..);
            let routes = regions.map(|(region, order)| route(model, region, order));
            let mut target = over(routes.collect());
            target.invoke_model = true;
            config.targets.aliases.insert("t".to_owned(), target);
        })
        .await;
        let (mut guardrails, mut models) = (gateway.guardrails(), gateway.models());
        let applied = guardrails.apply_guardrail(ApplyGuardrailRequest {
            target: "t".to_owned(),
            guardrail_identifier: Some("gr1".to_owned()),
            guardrail_version: Some("1".to_owned()),
            source: GuardrailContentSource::Input.into(),
            content: vec![GuardrailConverseContentBlock {
                content: Some(Content::Text(GuardrailConverseTextBlock {
                    text: "Hello".to_owned(),
                    qualifiers: Vec::new(),
                })),
            }],
            ..ApplyGuardrailRequest::default()
        });
        let applied = soon(applied).await.unwrap().into_inner();
        let invoked = models.invoke_model(InvokeModelRequest {
            target: "t".to_owned(),
            body: r#"{"inputText":"x"}"#.into(),
            ..InvokeModelRequest::default()
        });
        let invoked = soon(invoked).await.unwrap().into_inner();
        for attempts in [applied.attempts, invoked.attempts] {
            let reasons = attempts.iter().map(|attempt| &*attempt.failure_reason);
            let reasons: Vec<_> = reasons.collect();
            assert_eq!(reasons, ["UPSTREAM_UNAVAILABLE", ""], "{answer}");
        }
    }
}

/// The status decides. A body that does not arrive delays the next attempt by a moment only.
#[tokio::test]
async fn the_body_of_an_outage_is_not_waited_for() {
    for status in [
        "503 Service Unavailable",
        "429 Too Many Requests",
        "302 Found",
    ] {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 100\r\n\r\nsorry");
        let broken = Broken::hanging(head).await;
        let gateway = gateway(&["us-east-1", "us-west-2"], &[("us-east-1", &broken)]).await;
        let begun = Instant::now();
        gateway.stream(ask("t")).await.is_whole();
        assert_eq!(broken.requests(), 1, "{status}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{status}: {took:?}");
    }
}

#[tokio::test]
async fn with_no_other_region_an_outage_is_unavailable_with_a_hint_when_to_retry() {
    for (name, answer) in outages() {
        let broken = Broken::answering(answer).await;
        let gateway = gateway(&["us-east-1"], &[("us-east-1", &broken)]).await;
        let answer = gateway.stream(ask("t")).await;
        let reason = match name {
            "200 with an empty stream" => "UPSTREAM_TRUNCATED",
            _ => "UPSTREAM_UNAVAILABLE",
        };
        let expected = (Code::Unavailable, reason.to_owned(), true);
        assert_eq!(told(&answer), expected, "{name}");
        assert!(answer.trailers_only, "{name}");
    }
}

#[tokio::test]
async fn a_429_without_a_name_is_throttling() {
    for answer in [
        http("429 Too Many Requests", HTML, "<html>slow down</html>"),
        http("429 Too Many Requests", "", ""),
        http(
            "429 x",
            "content-type: application/json\r\n",
            r#"{"message":"Too Many Requests"}"#,
        ),
        http("429 x", "x-amzn-errortype: SlowDown\r\n", "{}"),
        http("429 x", "x-amzn-errortype: BrandNewException\r\n", "{}"),
    ] {
        let broken = Broken::answering(answer.clone()).await;
        let regions = ["us-east-1", "us-west-2"];
        let two = gateway(&regions, &[("us-east-1", &broken)]).await;
        two.stream(ask("t")).await.is_whole();
        let request = GetTargetRequest {
            target: "t".to_owned(),
        };
        let target = two
            .targets()
            .get_target(request)
            .await
            .unwrap()
            .into_inner();
        let routes = target.target.unwrap().routes;
        assert_eq!(routes[0].health(), RouteHealth::Throttled, "{answer}");

        let one = gateway(&["us-east-1"], &[("us-east-1", &broken)]).await;
        let (code, _, has_retry) = told(&one.stream(ask("t")).await);
        assert_eq!(
            (code, has_retry),
            (Code::ResourceExhausted, true),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn an_error_that_this_version_does_not_know_counts_by_its_status() {
    let answer = http(
        "503 x",
        "x-amzn-errortype: BrandNewException\r\n",
        r#"{"message":"new"}"#,
    );
    let broken = Broken::answering(answer).await;
    let gateway = gateway(&["us-east-1", "us-west-2"], &[("us-east-1", &broken)]).await;
    for _ in 0..6 {
        gateway.stream(ask("t")).await.is_whole();
    }
    assert!((5..=6).contains(&broken.requests()));
}

/// Requests that another Region would answer in the same way are not sent there.
#[tokio::test]
async fn a_refusal_does_not_fail_over() {
    for (status, headers) in [
        (
            "400 Bad Request",
            "x-amzn-errortype: ValidationException\r\n",
        ),
        (
            "403 Forbidden",
            "x-amzn-errortype: AccessDeniedException\r\n",
        ),
        (
            "403 Forbidden",
            "x-amzn-errortype: UnrecognizedClientException\r\n",
        ),
        ("403 Forbidden", HTML),
        (
            "404 Not Found",
            "x-amzn-errortype: ResourceNotFoundException\r\n",
        ),
    ] {
        let broken = Broken::answering(http(status, headers, "{}")).await;
        let gateway = gateway(&["us-east-1", "us-west-2"], &[("us-east-1", &broken)]).await;
        let answer = gateway.stream(ask("t")).await;
        assert!(answer.end.is_err(), "{status} {headers}");
        assert!(answer.details().retry().is_none(), "{status} {headers}");
        assert_eq!(broken.requests(), 1);
        assert_eq!(gateway.emulator.calls(), [], "{status} {headers}");
    }
}

/// 64 KiB of an error are read, then the connection is closed.
#[tokio::test]
async fn the_body_of_an_error_is_read_up_to_a_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sent, mut total) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let sent = sent.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                let _request = tcp.read(&mut buffer).await;
                let head = "HTTP/1.1 400 x\r\nx-amzn-errortype: ValidationException\r\ncontent-length: 1000000000\r\n\r\n";
                let start = r#"{"message":"too bad","more":""#;
                let _sent = tcp.write_all(format!("{head}{start}").as_bytes()).await;
                let (piece, mut bytes) = (vec![b'x'; 64 << 10], 0_usize);
                while tcp.write_all(&piece).await.is_ok() {
                    bytes += piece.len();
                }
                let _told = sent.send(bytes);
            });
        }
    });
    let gateway = Gateway::with(|config, _| {
        config.bedrock.endpoint_url = Some(format!("http://{address}"));
    })
    .await;
    let answer = gateway.stream(ask(MODEL)).await;
    assert_eq!(answer.code(), Code::InvalidArgument);
    // The error contains the part that arrived before the connection closed.
    let message = answer.end.as_ref().unwrap_err().message().to_owned();
    assert!(message.contains("too bad"), "{message}");
    let bytes = soon(total.recv()).await.unwrap();
    // The other bytes are in socket buffers.
    assert!(bytes < 32 << 20, "{bytes} bytes were taken");
}

/// Callers receive the details that help them. The other details are in the log.
#[tokio::test]
async fn errors_name_no_host_no_account_and_no_role() {
    let role = "arn:aws:sts::123456789012:assumed-role/gateway/i-0";
    let profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc";
    let denied = format!(
        r#"{{"message":"User: {role} is not authorized to perform: bedrock:InvokeModelWithResponseStream on resource: {profile}"}}"#
    );
    let invalid = format!(r#"{{"message":"The model {profile} of account 123456789012 is odd"}}"#);
    let proxied = r#"{"message":"upstream connect error: no route to egress.corp.internal:8443 at [fd00::a1] for http://egress-2/"}"#;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = closed.local_addr().unwrap();
    drop(closed);
    let typed =
        |name: &str, body: &str| http("400 x", &format!("x-amzn-errortype: {name}\r\n"), body);
    let mut endpoints = vec![refused];
    for answer in [
        typed("AccessDeniedException", &denied),
        typed("ValidationException", &invalid),
        typed("ThrottlingException", &invalid),
        typed("ResourceNotFoundException", &invalid),
        typed("AccessDeniedException", proxied),
        typed("ValidationException", proxied),
        typed("egress-3.corp.internal", proxied),
        http("403 x", "", proxied),
        http("503 x", "", proxied),
        http("503 x", HTML, "<html>"),
        "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\ncontent-length: 99\r\n\r\nx".to_owned(),
        "this is not HTTP\r\n\r\n".to_owned(),
        String::new(),
    ] {
        endpoints.push(Broken::answering(answer).await.address);
    }
    for endpoint in endpoints {
        let gateway = Gateway::with(|config, _| {
            config.bedrock.endpoint_url = Some(format!("http://{endpoint}"));
            let routes = vec![route(profile, "us-east-1", 1)];
            config.targets.aliases.insert("t".to_owned(), over(routes));
        })
        .await;
        let answer = gateway.stream(ask("t")).await;
        let status = answer.end.unwrap_err();
        let details = String::from_utf8_lossy(status.details()).into_owned();
        let shown = format!("{} {details}", status.message());
        for secret in [
            "123456789012",
            "assumed-role",
            "127.0.0.1",
            &endpoint.port().to_string(),
            "hyper",
            "Error(",
            "os error",
            "egress",
            "8443",
            "fd00",
        ] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
}
