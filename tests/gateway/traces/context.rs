//! Trace context: accepting it, propagating it, and who decides on sampling.

use bedrock_emulator::{Emulator, Options};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use prost::Message;
use serde_json::Value;

use super::{CALLER, TRACE, request, sampled, told, traced};
use crate::harness::{Gateway, MODEL, STREAM_INVOKE, Serve, Web, ask, message};

#[tokio::test]
async fn without_a_caller_or_with_one_that_can_not_be_read_a_trace_begins() {
    let (collector, gateway) = traced(|_, _| {}).await;
    let cases = [
        ("none", String::new()),
        ("bad", format!("00-{TRACE}-{CALLER}")),
        ("zero", format!("00-{}-{CALLER}-01", "0".repeat(32))),
    ];
    for (id, traceparent) in &cases {
        gateway
            .stream(request(id, traceparent, ask(MODEL)))
            .await
            .is_whole();
    }
    for (id, _) in cases {
        let spans = collector.call(id).await;
        assert_eq!(spans.call.parent, "", "{id}");
        assert_ne!(spans.call.trace_id, TRACE, "{id}");
        assert_eq!(spans.attempts[0].trace_id, spans.call.trace_id, "{id}");
    }
}

#[tokio::test]
async fn unsampled_traces_are_propagated_and_not_sent() {
    let (collector, gateway) = traced(|_, _| {}).await;
    let unsampled = format!("00-{TRACE}-{CALLER}-00");
    let quiet = request("quiet", &unsampled, ask(MODEL));
    gateway.stream(quiet).await.is_whole();
    let calls = gateway.ended(1).await;
    let parent = told(&calls[0]);
    assert!(parent.starts_with(&format!("00-{TRACE}-")), "{parent}");
    assert!(parent.ends_with("-00"), "{parent}");
    assert!(!parent.contains(CALLER), "{parent}");

    // Later spans arrive, and only these.
    let loud = request("loud", "", ask(MODEL));
    gateway.stream(loud).await.is_whole();
    collector.call("loud").await;
    let spans = collector.spans(|_| true).await;
    assert!(spans.iter().all(|span| span.trace_id != TRACE), "{spans:?}");
}

#[tokio::test]
async fn the_ratio_is_of_traces_that_begin_here() {
    let (collector, gateway) = traced(|config, _| config.traces.sample_ratio = 0.0).await;
    let own = request("own", "", ask(MODEL));
    gateway.stream(own).await.is_whole();
    let callers = request("callers", &sampled(), ask(MODEL));
    gateway.stream(callers).await.is_whole();
    collector.call("callers").await;
    let spans = collector.spans(|_| true).await;
    assert!(spans.iter().all(|span| span.trace_id == TRACE), "{spans:?}");
    let calls = gateway.ended(2).await;
    assert!(told(&calls[0]).ends_with("-00"), "{}", told(&calls[0]));
    assert!(told(&calls[1]).ends_with("-01"), "{}", told(&calls[1]));
}

#[tokio::test]
async fn a_web_page_passes_its_trace_on() {
    let (collector, gateway) = traced(|_, _| {}).await;
    let request = http::Request::post(STREAM_INVOKE)
        .header("host", gateway.address.to_string())
        .header("content-type", "application/grpc-web+proto")
        .header("x-request-id", "page")
        .header("traceparent", sampled())
        .body(Full::<Bytes>::from(message(0, &ask(MODEL).encode_to_vec())))
        .unwrap();
    let answer = Web::send(gateway.address, request).await;
    assert_eq!(answer.status, StatusCode::OK);
    let spans = collector.call("page").await;
    assert_eq!(spans.call.trace_id, TRACE);
    assert_eq!(spans.call.parent, CALLER);
}

/// Even without a collector, Bedrock gets the trace context.
#[tokio::test]
async fn the_trace_is_passed_on_without_a_collector() {
    for gateway in [Gateway::start().await, Gateway::over_h2(|_, _| {}).await] {
        let callers = request("callers", &sampled(), ask(MODEL));
        gateway.stream(callers).await.is_whole();
        let own = request("own", "", ask(MODEL));
        gateway.stream(own).await.is_whole();
        let calls = gateway.ended(2).await;
        let parent = told(&calls[0]);
        assert!(parent.starts_with(&format!("00-{TRACE}-")), "{parent}");
        assert!(parent.ends_with("-01"), "{parent}");
        let begun = told(&calls[1]);
        assert!(
            begun.starts_with("00-") && begun.ends_with("-00"),
            "{begun}"
        );
    }
}

/// Even without a collector, the log contains the trace of a call.
#[tokio::test]
async fn the_log_names_the_trace() {
    let emulator = Emulator::start(Options::default()).unwrap();
    let mut serve = Serve::with_keys(&emulator, "", &[]).await;
    let callers = request("logged", &sampled(), ask(MODEL));
    serve.open(callers).await.end().await.is_whole();
    let line: Value = serde_json::from_str(&serve.process.logged("call ended").await).unwrap();
    assert_eq!(line["request_id"], "logged");
    assert_eq!(line["trace_id"], TRACE);
    let span_id = line["span_id"].as_str().unwrap();
    assert_eq!(span_id.len(), 16, "{line}");
    assert_ne!(span_id, CALLER);
    serve.process.terminate().await;
    assert_eq!(serve.process.end().await.code, Some(0));
}
