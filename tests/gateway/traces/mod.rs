//! Traces: the spans of a call, their content, and what is propagated.

mod collector;
mod context;
mod secrets;

use std::time::Duration;

use bedrock_emulator::{Call, Options};
use bedrock_grpc::{
    config::Config,
    pb::{InferenceConfiguration, StreamInvokeRequest},
};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tonic::{Code, Request};

use crate::harness::{
    Collector, Gateway, MODEL, Span, Spans, Stream, ask, faulty, over, paced, route,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A gateway that sends its spans to a collector.
async fn traced(change: impl FnOnce(&mut Config, &mut Options)) -> (Collector, Gateway) {
    let collector = Collector::start().await;
    let gateway = Gateway::with(|config, options| {
        config.traces.otlp_endpoint = Some(collector.endpoint());
        change(config, options);
    })
    .await;
    (collector, gateway)
}

/// A request with this ID and this `traceparent`.
fn request(
    id: &str,
    traceparent: &str,
    message: StreamInvokeRequest,
) -> Request<StreamInvokeRequest> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("x-request-id", id.parse().unwrap());
    if !traceparent.is_empty() {
        metadata.insert("traceparent", traceparent.parse().unwrap());
    }
    request
}

fn sampled() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

/// What Bedrock received of an attempt's span.
fn told(call: &Call) -> &str {
    call.header("traceparent").unwrap_or_default()
}

#[track_caller]
fn is_in(inner: &Span, outer: &Span) {
    assert_eq!(inner.parent, outer.span_id);
    assert_eq!(inner.trace_id, outer.trace_id);
    assert!(inner.times.0 >= outer.times.0, "{inner:?} in {outer:?}");
    assert!(inner.times.1 <= outer.times.1, "{inner:?} in {outer:?}");
    assert!(inner.times.0 <= inner.times.1, "{inner:?}");
}

/// Caller -> call -> a failed attempt, and a successful one; Bedrock gets the span of each.
#[tokio::test]
async fn a_call_and_each_of_its_attempts_has_a_span() {
    let (collector, gateway) = traced(|config, _| {
        let alias = over(vec![
            route(&format!("{MODEL}.fault-throttling"), "us-west-2", 1),
            route(MODEL, "us-east-1", 2),
        ]);
        config.targets.aliases.insert("t".to_owned(), alias);
    })
    .await;
    let mut message = ask("t");
    message.input.as_mut().unwrap().inference_config = Some(InferenceConfiguration {
        max_tokens: Some(512),
        temperature: Some(0.7),
        top_p: None,
        stop_sequences: vec!["END".to_owned(), "STOP".to_owned()],
    });
    let mut request = request("tree", &sampled(), message);
    let metadata = request.metadata_mut();
    metadata.insert("tracestate", "vendor=a1,other=b2".parse().unwrap());
    gateway.stream(request).await.is_whole();

    let Spans { call, attempts } = collector.call("tree").await;
    assert_eq!(
        call.name,
        "bedrock.inference.v1.InferenceService/StreamInvoke"
    );
    assert_eq!(call.trace_id, TRACE);
    assert_eq!(call.parent, CALLER);
    assert_eq!(call.state, "vendor=a1,other=b2");
    assert_eq!(call.error, None);
    for (name, expected) in [
        ("rpc.system.name", "grpc"),
        (
            "rpc.method",
            "bedrock.inference.v1.InferenceService/StreamInvoke",
        ),
        ("rpc.response.status_code", "OK"),
        ("bedrock_grpc.target", "t"),
        ("bedrock_grpc.attempts", "2"),
        ("error.type", ""),
    ] {
        assert_eq!(call.attribute(name), expected, "{name}");
    }

    let [failed, answered] = &attempts[..] else {
        panic!("{attempts:#?}");
    };
    let calls = gateway.ended(2).await;
    for (span, seen) in attempts.iter().zip(&calls) {
        is_in(span, &call);
        assert_eq!(span.kind, SpanKind::Client);
        assert_eq!(span.name, format!("chat {}", seen.model_id));
        assert_eq!(told(seen), format!("00-{TRACE}-{}-01", span.span_id));
        assert_eq!(seen.header("tracestate"), Some("vendor=a1,other=b2"));
        for (name, expected) in [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "aws.bedrock"),
            ("gen_ai.request.model", seen.model_id.as_str()),
            ("gen_ai.request.stream", "true"),
            ("gen_ai.request.max_tokens", "512"),
            ("gen_ai.request.temperature", "0.7"),
            ("gen_ai.request.top_p", ""),
            ("gen_ai.request.stop_sequences", "[END, STOP]"),
            ("aws.request_id", seen.request_id.as_str()),
            ("cloud.region", seen.region.as_str()),
            ("server.address", "127.0.0.1"),
            ("server.port", &gateway.emulator.addr().port().to_string()),
            ("bedrock_grpc.target", "t"),
        ] {
            assert_eq!(span.attribute(name), expected, "{name}");
        }
    }
    assert!(failed.times.1 <= answered.times.0);
    assert_eq!(failed.attribute("error.type"), "UPSTREAM_THROTTLED");
    assert_eq!(failed.error.as_deref(), Some("UPSTREAM_THROTTLED"));
    for name in [
        "gen_ai.response.finish_reasons",
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.usage.output_tokens",
    ] {
        assert_eq!(failed.attribute(name), "", "{name}");
    }
    assert_eq!(answered.attribute("error.type"), "");
    assert_eq!(answered.error, None);
    assert_eq!(
        answered.attribute("gen_ai.response.finish_reasons"),
        "[end_turn]"
    );
    for name in [
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
    ] {
        let number: f64 = answered.attribute(name).parse().unwrap();
        assert!(number > 0.0, "{name}");
    }
}

/// In the conventions for gRPC servers, failures that the gateway did not cause are not errors.
#[tokio::test]
async fn only_failures_of_the_server_are_errors_of_the_calls_span() {
    let (collector, gateway) = traced(|_, _| {}).await;
    let cases = [
        (faulty("internal"), "INTERNAL", "UPSTREAM_INTERNAL", true),
        (
            faulty("service-unavailable"),
            "UNAVAILABLE",
            "UPSTREAM_UNAVAILABLE",
            true,
        ),
        (
            faulty("throttling"),
            "RESOURCE_EXHAUSTED",
            "UPSTREAM_THROTTLED",
            false,
        ),
        (
            faulty("validation"),
            "INVALID_ARGUMENT",
            "UPSTREAM_VALIDATION",
            false,
        ),
        (ask(""), "INVALID_ARGUMENT", "INVALID_REQUEST", false),
    ];
    for (message, _, reason, _) in &cases {
        gateway.stream(request(reason, "", message.clone())).await;
    }
    for (_, code, reason, is_fault) in cases {
        let Spans { call, attempts } = collector.call(reason).await;
        assert_eq!(call.attribute("rpc.response.status_code"), code);
        assert_eq!(call.attribute("bedrock_grpc.reason"), reason);
        assert_eq!(call.error.is_some(), is_fault, "{reason}");
        assert_eq!(
            !call.attribute("error.type").is_empty(),
            is_fault,
            "{reason}"
        );
        // For calls to Bedrock, every failure is an error.
        assert!(
            attempts
                .iter()
                .all(|attempt| attempt.error.as_deref() == Some(reason)),
            "{attempts:?}"
        );
        assert_eq!(attempts.len(), usize::from(reason != "INVALID_REQUEST"));
    }
}

#[tokio::test]
async fn an_answer_that_ends_early_is_an_error_of_its_attempt() {
    let (collector, gateway) = traced(|_, _| {}).await;
    let message = faulty("stream-internal-after-3");
    let answer = gateway.stream(request("broken", "", message)).await;
    assert_eq!(answer.code(), Code::Internal);
    let Spans { call, attempts } = collector.call("broken").await;
    let [attempt] = &attempts[..] else {
        panic!("{attempts:#?}");
    };
    is_in(attempt, &call);
    assert_eq!(attempt.error.as_deref(), Some("UPSTREAM_INTERNAL"));
    assert_eq!(
        attempt.attribute("gen_ai.response.finish_reasons"),
        "[error]"
    );
    assert_ne!(attempt.attribute("gen_ai.response.time_to_first_chunk"), "");
}

#[tokio::test]
async fn a_cancel_is_no_error() {
    let (collector, gateway) =
        traced(|_, options| options.pace = paced(Duration::from_millis(20), 1_000)).await;
    let request = request("cancelled", &sampled(), ask(MODEL));
    let mut stream = Stream::open(&mut gateway.inference(), request).await;
    stream.tokens(2).await;
    drop(stream);
    let Spans { call, attempts } = collector.call("cancelled").await;
    assert_eq!(call.attribute("rpc.response.status_code"), "CANCELLED");
    assert_eq!(call.error, None);
    let [attempt] = &attempts[..] else {
        panic!("{attempts:#?}");
    };
    is_in(attempt, &call);
    assert_eq!(attempt.error, None);
    assert_eq!(attempt.attribute("error.type"), "");
    assert_eq!(
        attempt.attribute("gen_ai.response.finish_reasons"),
        "[error]"
    );
    // The gateway does not invent what Bedrock did not send.
    assert_eq!(attempt.attribute("gen_ai.usage.output_tokens"), "");
}
