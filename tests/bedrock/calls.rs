//! The requests that Bedrock receives, and the gateway's results for Bedrock's responses.

use std::time::Duration;

use bedrock_grpc::{
    config::bedrock::BedrockOptions,
    error::{Phase, Reason},
    telemetry::trace::TraceContext,
};
use bytes::Bytes;
use tokio::time::timeout;

use super::server::{self, Reply, SOON, Server, Setup, event, frame};

/// Far shorter than every limit that would close a call, and long enough for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(10);
const MODEL: &str = "us.anthropic.claude-sonnet-4-20250514-v1:0";
const BODY: &str = r#"{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"temperature":0.7},"z":1,"a":2}"#;

fn answer() -> Vec<u8> {
    [
        event("messageStart", r#"{"role":"assistant"}"#),
        event(
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"text":"Hi"}}"#,
        ),
        event("somethingNew", "{}"),
        event("messageStop", r#"{"stopReason":"end_turn"}"#),
    ]
    .concat()
}

/// Intermediaries may put their spans into these headers, and Bedrock must still accept the
/// request.
#[tokio::test]
async fn the_trace_goes_with_the_request_and_is_not_under_its_signature() {
    let mut headers = http::HeaderMap::new();
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    headers.insert("traceparent", caller.parse().expect("a header"));
    headers.insert("tracestate", "vendor=1".parse().expect("a header"));
    let span = TraceContext::of_call(&headers);
    let mut server = Server::start(Setup {
        reply: Some(Reply::stream(answer())),
        ..Setup::default()
    })
    .await;
    let bedrock = server.bedrock();
    assert_eq!(bedrock.endpoint("", "us-east-1"), None);
    let body = Bytes::from_static(BODY.as_bytes());
    let traced = bedrock.in_trace(span.clone());
    traced
        .converse_stream("us-east-1", MODEL, body.clone())
        .await
        .expect("an answer");
    let call = server.call().await;
    assert_eq!(call.header("traceparent"), span.traceparent());
    assert_eq!(call.header("tracestate"), "vendor=1");
    let authorization = call.header("authorization");
    assert!(authorization.contains("SignedHeaders="), "{authorization}");
    assert!(!authorization.contains("trace"), "{authorization}");
    // The clones share the state of the endpoint.
    let called = bedrock.endpoint("", "us-east-1").expect("who was called");
    let host = format!("{}:{}", called.address, called.port);
    assert_eq!(call.header("host"), host);

    bedrock
        .converse_stream("us-east-1", MODEL, body)
        .await
        .expect("an answer");
    let call = server.call().await;
    assert!(!call.head.headers.contains_key("traceparent"));
}

#[tokio::test]
async fn the_body_arrives_to_the_byte_and_the_events_come_back() {
    for tls in [false, true] {
        let mut server = Server::start(Setup {
            tls,
            reply: Some(Reply::stream(answer())),
            ..Setup::default()
        })
        .await;
        let body = Bytes::from_static(BODY.as_bytes());
        let mut answer = server
            .bedrock()
            .converse_stream("us-east-1", MODEL, body)
            .await
            .expect("an answer");
        assert_eq!(answer.request_id, "req-1");
        let mut events = Vec::new();
        while let Some(frame) = timeout(SOON, answer.frames.next())
            .await
            .expect("a frame comes")
        {
            events.push(frame.expect("a good frame"));
        }
        let types: Vec<&str> = events.iter().map(|event| &*event.event_type).collect();
        assert_eq!(
            types,
            [
                "messageStart",
                "contentBlockDelta",
                "somethingNew",
                "messageStop"
            ]
        );
        assert_eq!(&*events[0].payload, br#"{"role":"assistant"}"#);

        let call = server.call().await;
        assert_eq!(call.head.method, "POST");
        assert_eq!(call.body, BODY);
        assert_eq!(call.header("content-length"), BODY.len().to_string());
        assert_eq!(call.header("content-type"), "application/json");
        assert!(
            call.header("authorization")
                .starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        );
        assert!(
            call.header("authorization")
                .contains("/us-east-1/bedrock/aws4_request")
        );
        let agent = call.header("user-agent");
        assert!(agent.contains("app/bedrock-grpc"), "{agent}");
        assert!(
            agent.contains(concat!("lib/bedrock-grpc/", env!("CARGO_PKG_VERSION"))),
            "{agent}"
        );
    }
}

/// Documents and images make bodies far larger than any window or buffer on the path.
#[tokio::test]
async fn a_large_body_arrives_whole() {
    for tls in [false, true] {
        let reply = Some(Reply::stream(answer()));
        let mut server = Server::start(Setup {
            tls,
            reply,
            ..Setup::default()
        })
        .await;
        let body = Bytes::from_iter((0..1_000_000_u32).map(|at| (at / 7) as u8));
        let answer = server
            .bedrock()
            .converse_stream("us-east-1", MODEL, body.clone())
            .await;
        answer.expect("an answer");
        assert!(server.call().await.body == body, "TLS: {tls}");
    }
}

/// Larger than all windows and buffers on the path.
#[tokio::test]
async fn a_long_answer_comes_whole() {
    let text = "a".repeat(999);
    let payload = format!(r#"{{"contentBlockIndex":0,"delta":{{"text":"{text}"}}}}"#);
    let body = event("contentBlockDelta", &payload).repeat(2_000);
    for tls in [false, true] {
        let reply = Some(Reply::stream(body.clone()));
        let server = Server::start(Setup {
            tls,
            reply,
            ..Setup::default()
        })
        .await;
        let answer = server
            .bedrock()
            .converse_stream("us-east-1", MODEL, Bytes::new())
            .await;
        let mut frames = answer.expect("an answer").frames;
        for _ in 0..2_000 {
            let frame = timeout(SOON, frames.next()).await.expect("a frame comes");
            assert_eq!(
                frame.expect("not the end").expect("an event").payload,
                payload
            );
        }
        assert!(frames.next().await.is_none());
    }
}

#[tokio::test]
async fn an_arn_is_one_segment_of_the_path() {
    let mut server = Server::start(Setup {
        reply: Some(Reply::stream(answer())),
        ..Setup::default()
    })
    .await;
    let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123";
    server
        .bedrock()
        .converse_stream("us-east-1", arn, Bytes::new())
        .await
        .expect("an answer");
    let path = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc123/converse-stream";
    assert_eq!(server.call().await.head.uri.path(), path);
}

#[tokio::test]
async fn a_client_for_each_source_region_signs_for_it() {
    let mut server = Server::start(Setup {
        reply: Some(Reply::stream(answer())),
        ..Setup::default()
    })
    .await;
    let bedrock = server.bedrock();
    for region in ["eu-west-1", "us-west-2", "eu-west-1"] {
        bedrock
            .converse_stream(region, MODEL, Bytes::from_static(b"{}"))
            .await
            .expect("an answer");
        let call = server.call().await;
        assert!(
            call.header("authorization")
                .contains(&format!("/{region}/bedrock/"))
        );
    }
    for region in ["", "us-east-1.evil.example", "US", "-x", "a/b"] {
        let failure = bedrock
            .converse_stream(region, MODEL, Bytes::new())
            .await
            .expect_err("no Region");
        assert_eq!(failure.reason, Reason::InvalidRequest, "{region}");
        assert!(failure.message.contains("us-east-1"));
    }
}

#[tokio::test]
async fn errors_over_http_are_failures() {
    let headers = vec![
        (
            "x-amzn-errortype",
            "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/".to_owned(),
        ),
        ("x-amzn-requestid", "req-9".to_owned()),
        ("x-amz-retry-after", "1500".to_owned()),
    ];
    let body =
        Bytes::from_static(br#"{"message":"Too many requests, please wait before trying again."}"#);
    let reply = Some(Reply {
        status: 429,
        headers,
        body,
    });
    let mut server = Server::start(Setup {
        reply,
        ..Setup::default()
    })
    .await;
    let failure = server
        .bedrock()
        .converse_stream("us-east-1", MODEL, Bytes::new())
        .await
        .expect_err("throttled");
    assert_eq!(failure.reason, Reason::UpstreamThrottled);
    assert_eq!(failure.phase, Phase::BeforeFirstEvent);
    assert_eq!(failure.retry_after, Some(Duration::from_millis(1500)));
    let upstream = failure.upstream.expect("Bedrock's part");
    assert_eq!(upstream.exception, "ThrottlingException");
    assert_eq!(
        upstream.message,
        "Too many requests, please wait before trying again."
    );
    assert_eq!(
        (upstream.http_status, &*upstream.request_id),
        (Some(429), "req-9")
    );
    server.call().await;
    assert!(
        server.calls.try_recv().is_err(),
        "one place decides on retries, and it is not here"
    );
}

#[tokio::test]
async fn an_exception_in_the_stream_ends_it() {
    let start = event("messageStart", r#"{"role":"assistant"}"#);
    let exception = frame(
        "exception",
        "throttlingException",
        r#"{"message":"slow down"}"#,
    );
    let body = [start, exception, event("messageStop", "{}")].concat();
    let server = Server::start(Setup {
        reply: Some(Reply::stream(body)),
        ..Setup::default()
    })
    .await;
    let mut answer = server
        .bedrock()
        .converse_stream("us-east-1", MODEL, Bytes::new())
        .await
        .expect("an answer");
    assert_eq!(
        answer
            .frames
            .next()
            .await
            .expect("a frame")
            .expect("an event")
            .event_type,
        "messageStart"
    );
    let failure = answer
        .frames
        .next()
        .await
        .expect("an end")
        .expect_err("an exception");
    assert_eq!(failure.reason, Reason::UpstreamThrottled);
    let upstream = failure.upstream.expect("Bedrock's part");
    assert_eq!(
        (&*upstream.exception, &*upstream.message),
        ("ThrottlingException", "slow down")
    );
    assert_eq!(
        (upstream.http_status, &*upstream.request_id),
        (None, "req-1")
    );
    assert!(
        answer.frames.next().await.is_none(),
        "nothing comes after a failure"
    );
}

#[tokio::test]
async fn cuts_and_corrupt_bytes_are_failures_and_a_clean_end_is_an_end() {
    let whole = event("messageStart", r#"{"role":"assistant"}"#);
    let mut corrupt = whole.clone();
    corrupt[20] ^= 1;
    for (second, reason) in [
        (
            whole[..whole.len() - 1].to_vec(),
            Some(Reason::UpstreamTruncated),
        ),
        (corrupt, Some(Reason::UpstreamCorrupt)),
        (Vec::new(), None),
    ] {
        let reply = Reply::stream([whole.clone(), second].concat());
        let server = Server::start(Setup {
            reply: Some(reply),
            ..Setup::default()
        })
        .await;
        let mut answer = server
            .bedrock()
            .converse_stream("us-east-1", MODEL, Bytes::new())
            .await
            .expect("an answer");
        assert!(answer.frames.next().await.expect("a frame").is_ok());
        let end = answer
            .frames
            .next()
            .await
            .map(|end| end.expect_err("no event").reason);
        assert_eq!(end, reason);
    }
}

#[tokio::test]
async fn dropping_the_answer_ends_the_call_at_once() {
    for tls in [false, true] {
        let mut server = Server::start(Setup {
            tls,
            ..Setup::default()
        })
        .await;
        let bedrock = server.bedrock();
        let calling = tokio::spawn(async move {
            bedrock
                .converse_stream("us-east-1", MODEL, Bytes::from_static(b"{}"))
                .await
                .map(|answer| (answer, bedrock))
        });
        let open = server.call().await.open();
        open.send(event("messageStart", r#"{"role":"assistant"}"#));
        let (mut answer, _bedrock) = calling.await.expect("no panic").expect("an answer");
        answer
            .frames
            .next()
            .await
            .expect("a frame")
            .expect("an event");
        drop(answer);
        timeout(AT_ONCE, open.closed()).await.expect("closed");
    }
}

#[tokio::test]
async fn dropping_a_call_that_waits_ends_it_at_once() {
    for tls in [false, true] {
        let mut server = Server::start(Setup {
            tls,
            ..Setup::default()
        })
        .await;
        let bedrock = server.bedrock();
        let calling = {
            let bedrock = bedrock.clone();
            tokio::spawn(async move {
                bedrock
                    .converse_stream("us-east-1", MODEL, Bytes::new())
                    .await
            })
        };
        let call = server.call().await;
        calling.abort();
        timeout(AT_ONCE, call.abandoned()).await.expect("closed");
    }
}

#[tokio::test]
async fn what_cannot_be_reached_is_a_failure_that_names_it_for_the_operator_alone() {
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        listener.local_addr().expect("an address").port()
    };
    // The kernel accepts the connection, but nothing is ever sent.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let silent_port = silent.local_addr().expect("an address").port();
    let server = Server::start(Setup {
        tls: true,
        ..Setup::default()
    })
    .await;
    for (url, says) in [
        (format!("http://127.0.0.1:{closed}"), "refused"),
        ("http://bedrock.invalid".to_owned(), "DNS"),
        (
            format!("https://127.0.0.1:{silent_port}"),
            "TLS: no answer within 1s",
        ),
        (
            format!("https://localhost:{}", server.address.port()),
            "TLS",
        ),
    ] {
        let options = BedrockOptions {
            endpoint_url: Some(url),
            // The time limit for a failure. Peers that are silent on purpose have another limit.
            connect_timeout: if says.contains("no answer") {
                Duration::from_secs(1)
            } else {
                SOON
            },
            ..BedrockOptions::default()
        };
        let failure = server::bedrock(&options)
            .converse_stream("us-east-1", MODEL, Bytes::new())
            .await
            .expect_err("nothing to connect to");
        assert_eq!(
            (failure.reason, failure.phase),
            (Reason::UpstreamConnect, Phase::Connect),
            "{failure}"
        );
        assert!(failure.detail.contains(says), "{}", failure.detail);
        let told = failure.to_string();
        assert!(
            !told.contains("local") && !told.contains("127.0.0.1"),
            "{told}"
        );
    }
}
