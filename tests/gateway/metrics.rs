//! What operators can see about calls, routes and connections.

use std::time::Duration;

use bedrock_grpc::pb::stream_invoke_response::Event;
use tonic::Code;

use crate::harness::{Gateway, MODEL, Stream, alias, ask, faulty, get, over, paced, route, soon};

const THROTTLED: &str = "amazon.nova-lite-v1:0.fault-throttling";
const BROKEN: &str = "amazon.nova-lite-v1:0.fault-service-unavailable";
const USED_UP: &str = "amazon.nova-lite-v1:0.fault-quota";
const STALLED: &str = "amazon.nova-lite-v1:0.fault-stall-after-2";

/// Starts a gateway with these targets, each of one model in the gateway's own Region.
async fn with_targets(targets: &[(&str, &str)]) -> Gateway {
    Gateway::with(|config, _| {
        for (name, model_id) in targets {
            let aliases = &mut config.targets.aliases;
            aliases.insert((*name).to_owned(), alias(model_id));
        }
    })
    .await
}

/// Reads a sample until it has this value.
async fn becomes(gateway: &Gateway, sample: &str, value: f64) {
    soon(async {
        while gateway.metric(sample).await != value {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn calls_and_attempts_are_counted_by_target_and_route() {
    let gateway = Gateway::with(|config, _| {
        let alias = over(vec![
            route(THROTTLED, "us-west-2", 1),
            route(MODEL, "us-east-1", 2),
        ]);
        config.targets.aliases.insert("t".to_owned(), alias);
    })
    .await;
    gateway.stream(ask("t")).await.is_whole();
    let failed = format!(
        r#"bedrock_grpc_attempts_total{{target="t",model_id="{THROTTLED}",source_region="us-west-2",reason="UPSTREAM_THROTTLED"}}"#
    );
    let answered = format!(
        r#"bedrock_grpc_attempts_total{{target="t",model_id="{MODEL}",source_region="us-east-1",reason=""}}"#
    );
    let call = format!(
        r#"bedrock_grpc_calls_total{{method="StreamInvoke",target="t",model_id="{MODEL}",source_region="us-east-1",code="OK",reason=""}}"#
    );
    for sample in [failed, answered, call] {
        assert_eq!(gateway.metric(&sample).await, 1.0, "{sample}");
    }
    assert_eq!(gateway.metric("bedrock_grpc_attempts_total").await, 2.0);
}

#[tokio::test]
async fn callers_make_up_no_labels() {
    let gateway = Gateway::start().await;
    let own = format!("{MODEL}.fault-end-without-metadata");
    gateway.stream(ask(&own)).await.is_whole();
    // An alias leads to the same route, so it is one of the operator's routes.
    gateway.stream(ask(MODEL)).await.is_whole();
    let unknown = gateway.stream(ask("novo")).await;
    assert_eq!(unknown.code(), Code::NotFound);

    let (_, text) = get(gateway.admin, "/metrics").await;
    assert!(!text.contains("fault-end-without-metadata"), "{text}");
    assert!(!text.contains("novo"), "{text}");
    let call = |target: &str, model_id: &str| {
        format!(r#"bedrock_grpc_calls_total{{target="{target}",model_id="{model_id}"}}"#)
    };
    for (target, model_id) in [("raw", ""), ("raw", MODEL), ("", "")] {
        let sample = call(target, model_id);
        assert_eq!(gateway.metric(&sample).await, 1.0, "{sample}");
    }
}

#[tokio::test]
async fn the_times_of_a_stream_are_counted_by_target() {
    let gateway = Gateway::with(|_, options| {
        options.pace = paced(Duration::from_millis(20), 10);
    })
    .await;
    let answer = gateway.stream(ask("nova")).await;
    answer.is_whole();
    let pieces = answer
        .events()
        .filter(|event| matches!(event, Event::ContentBlockDelta(_)));
    let gaps = pieces.count() as f64 - 1.0;
    assert!(gaps >= 9.0);

    let count = async |name: &str, rest: &str| {
        let sample = format!("bedrock_grpc_{name}_seconds_{rest}");
        gateway.metric(&sample).await
    };
    let nova = r#"count{target="nova"}"#;
    assert_eq!(count("inter_token_gap", nova).await, gaps);
    for once in [
        "time_to_first_event",
        "time_to_first_token",
        "call_duration",
    ] {
        assert_eq!(count(once, nova).await, 1.0, "{once}");
    }
    // The emulator waits before each token, so this bound holds on the slowest machine.
    let sum = count("inter_token_gap", r#"sum{target="nova"}"#).await;
    let call = count("call_duration", r#"sum{target="nova"}"#).await;
    assert!(sum >= 9.0 * 0.015 && sum <= call, "{sum} of {call}");
    let all = count("inter_token_gap", r#"bucket{target="nova",le="+Inf"}"#).await;
    assert_eq!(all, gaps);
}

#[tokio::test]
async fn a_call_without_an_answer_has_no_times_of_one() {
    let gateway = with_targets(&[("broken", BROKEN)]).await;
    gateway.stream(ask("broken")).await;
    for (name, count) in [
        ("inter_token_gap", 0.0),
        ("time_to_first_event", 0.0),
        ("time_to_first_token", 0.0),
        ("call_duration", 1.0),
    ] {
        let sample = format!("bedrock_grpc_{name}_seconds_count");
        assert_eq!(gateway.metric(&sample).await, count, "{sample}");
    }
}

#[tokio::test]
async fn a_breaker_is_seen_to_open_and_only_that_of_its_route() {
    let gateway = with_targets(&[("broken", BROKEN)]).await;
    let breaker = |model_id: &str, state: &str| {
        format!(
            r#"bedrock_grpc_breaker_state{{model_id="{model_id}",source_region="us-east-1",state="{state}"}}"#
        )
    };
    assert_eq!(gateway.metric(&breaker(BROKEN, "closed")).await, 1.0);
    // The breaker stays open for longer with each failure, so the test sees it eventually, however
    // slow this machine is.
    soon(async {
        while gateway.metric(&breaker(BROKEN, "open")).await != 1.0 {
            gateway.stream(ask("broken")).await;
        }
    })
    .await;
    assert_eq!(gateway.metric(&breaker(BROKEN, "closed")).await, 0.0);
    assert_eq!(gateway.metric(&breaker(MODEL, "closed")).await, 1.0);
    assert_eq!(gateway.metric(&breaker(MODEL, "open")).await, 0.0);
    for model_id in [BROKEN, MODEL] {
        let all = format!(r#"bedrock_grpc_breaker_state{{model_id="{model_id}"}}"#);
        assert_eq!(gateway.metric(&all).await, 1.0);
    }
}

#[tokio::test]
async fn a_cool_down_is_seen_to_pass() {
    let gateway = with_targets(&[("used-up", USED_UP)]).await;
    let left = |model_id: &str| {
        format!(
            r#"bedrock_grpc_cool_down_seconds{{model_id="{model_id}",source_region="us-east-1"}}"#
        )
    };
    assert_eq!(gateway.metric(&left(USED_UP)).await, 0.0);
    gateway.stream(ask("used-up")).await;
    let first = gateway.metric(&left(USED_UP)).await;
    assert!(first > 10.0, "{first}");
    let second = gateway.metric(&left(USED_UP)).await;
    assert!(second < first, "{second}");
    assert_eq!(gateway.metric(&left(MODEL)).await, 0.0);
}

#[tokio::test]
async fn calls_to_bedrock_are_counted_while_they_are_open() {
    let gateway = with_targets(&[("stalled", STALLED)]).await;
    let of_alias = format!(
        r#"bedrock_grpc_open_upstream_calls{{model_id="{STALLED}",source_region="us-east-1"}}"#
    );
    let of_callers = r#"bedrock_grpc_open_upstream_calls{model_id="",source_region=""}"#;
    let mut client = gateway.inference();
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = Stream::open(&mut client, ask("stalled")).await;
        stream.tokens(2).await;
        streams.push(stream);
    }
    let mut other = Stream::open(&mut client, faulty("stall-after-3")).await;
    other.tokens(2).await;
    assert_eq!(gateway.metric(&of_alias).await, 2.0);
    assert_eq!(gateway.metric(of_callers).await, 1.0);
    streams.pop();
    becomes(&gateway, &of_alias, 1.0).await;
    drop((streams, other));
    becomes(&gateway, &of_alias, 0.0).await;
    becomes(&gateway, of_callers, 0.0).await;

    // Failed and successful calls.
    gateway.stream(faulty("throttling")).await;
    gateway.stream(faulty("end-without-message-stop")).await;
    gateway.stream(ask("nova")).await.is_whole();
    becomes(&gateway, "bedrock_grpc_open_upstream_calls", 0.0).await;
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_it_waits_has_made_an_attempt() {
    let gateway = Gateway::start().await;
    let mut client = gateway.inference();
    let call = tokio::spawn(async move {
        let _never = client.stream_invoke(faulty("stall-before-headers")).await;
    });
    becomes(&gateway, "bedrock_grpc_open_upstream_calls", 1.0).await;
    soon(gateway.emulator.wait_for(|calls| calls.len() == 1)).await;
    call.abort();
    becomes(&gateway, "bedrock_grpc_open_upstream_calls", 0.0).await;
    let attempt = r#"bedrock_grpc_attempts_total{target="raw",reason="CANCELLED"}"#;
    assert_eq!(gateway.metric(attempt).await, 1.0);
    assert_eq!(gateway.metric("bedrock_grpc_attempts_total").await, 1.0);
}

#[tokio::test]
async fn connections_are_counted_while_they_are_open() {
    let gateway = Gateway::start().await;
    let (one, other) = (gateway.connect().await, gateway.connect().await);
    becomes(&gateway, "bedrock_grpc_open_connections", 2.0).await;
    drop(one);
    becomes(&gateway, "bedrock_grpc_open_connections", 1.0).await;
    drop(other);
    becomes(&gateway, "bedrock_grpc_open_connections", 0.0).await;
}

#[tokio::test]
async fn the_version_is_reported() {
    let gateway = Gateway::start().await;
    let version = env!("CARGO_PKG_VERSION");
    let sample = format!(r#"bedrock_grpc_build_info{{version="{version}"}}"#);
    assert_eq!(gateway.metric(&sample).await, 1.0);
}
