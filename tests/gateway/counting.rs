//! `CountTokens`.

use bedrock_emulator::{Call, Condition};
use bedrock_grpc::{
    config::{AccountOptions, Config},
    pb::{
        ContentBlock, CountTokensRequest, CountTokensResponse, InferenceConfiguration, RawMember,
    },
};
use tonic::{Code, Status};

use crate::harness::{
    Collector, Details, Gateway, MODEL, Spans, access_of, alias, ask, invoke, key_of, keyed, over,
    question, route, soon,
};

/// A model that counts tokens, and its inference profile.
const COUNTS: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const PROFILE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

fn request(target: &str) -> CountTokensRequest {
    CountTokensRequest {
        target: target.to_owned(),
        input: Some(question("Why is the sky blue?")),
    }
}

async fn count(gateway: &Gateway, target: &str) -> Result<CountTokensResponse, Status> {
    let counted = soon(gateway.inference().count_tokens(request(target))).await;
    counted.map(tonic::Response::into_inner)
}

fn counts(calls: &[Call]) -> Vec<(&str, &str)> {
    calls
        .iter()
        .filter(|call| call.operation == "CountTokens")
        .map(|call| (call.model_id.as_str(), call.region.as_str()))
        .collect()
}

#[tokio::test]
async fn a_profile_is_counted_by_the_model_behind_it_as_bedrock_bills_it() {
    let gateway = Gateway::with(|config, _| {
        let target = over(vec![route(PROFILE, "us-west-2", 1)]);
        config.targets.aliases.insert("t".to_owned(), target);
    })
    .await;
    let counted = count(&gateway, "t").await.unwrap();
    assert_eq!(counted.counted_by, COUNTS);
    let target = counted.target.unwrap();
    assert_eq!(target.model_id, PROFILE);
    assert_eq!(target.source_region, "us-west-2");
    assert_eq!(counted.attempts.len(), 1);
    assert!(!counted.request_id.is_empty());
    assert_eq!(counts(&gateway.emulator.calls()), [(COUNTS, "us-west-2")]);
    assert_eq!(
        gateway.emulator.calls()[0].request_id,
        counted.bedrock_request_id
    );

    let answer = soon(gateway.inference().invoke(invoke(ask("t"))))
        .await
        .unwrap();
    let usage = answer.into_inner().metadata.unwrap().usage.unwrap();
    assert_eq!(usage.input_tokens, Some(counted.input_tokens));

    let sample = r#"bedrock_grpc_calls_total{method="CountTokens",target="t",code="OK"}"#;
    assert_eq!(gateway.metric(sample).await, 1.0);
}

#[tokio::test]
async fn an_application_profile_is_looked_up_once() {
    let gateway = Gateway::with(|_, _| {}).await;
    let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/unknown0000";
    let failed = count(&gateway, arn).await.unwrap_err();
    assert_eq!(Details::of(&failed).reason(), "UPSTREAM_RESOURCE");
    let calls = gateway.emulator.calls();
    assert_eq!(calls[0].operation, "GetInferenceProfile");
}

#[tokio::test]
async fn only_what_counts_is_sent() {
    let gateway = Gateway::with(|config, _| {
        let mut target = alias(COUNTS);
        target.defaults.max_tokens = Some(100);
        config.targets.aliases.insert("t".to_owned(), target);
    })
    .await;
    let mut request = request("t");
    let input = request.input.as_mut().unwrap();
    input.inference_config = Some(InferenceConfiguration {
        max_tokens: Some(5),
        ..InferenceConfiguration::default()
    });
    input.request_metadata.insert("team".into(), "a".into());
    input.raw_members = vec![RawMember {
        pointer: "/novelty".into(),
        json: "1".into(),
    }];
    soon(gateway.inference().count_tokens(request))
        .await
        .unwrap();
    let calls = gateway.emulator.calls();
    let body = std::str::from_utf8(&calls[0].body).unwrap();
    assert_eq!(
        body,
        r#"{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"Why is the sky blue?"}]}]}}}"#
    );
}

#[tokio::test]
async fn a_model_that_refuses_is_remembered() {
    let gateway = Gateway::start().await;
    for _ in 0..3 {
        let failed = count(&gateway, "nova").await.unwrap_err();
        assert_eq!(failed.code(), Code::FailedPrecondition);
        let details = Details::of(&failed);
        assert_eq!(details.reason(), "COUNT_TOKENS_UNSUPPORTED");
        assert!(failed.message().contains(MODEL), "{failed:?}");
    }
    assert_eq!(counts(&gateway.emulator.calls()).len(), 1);
    // The model can still be called.
    gateway.stream(ask("nova")).await.is_whole();
}

#[tokio::test]
async fn another_region_counts_if_the_first_is_down_and_no_health_suffers() {
    let gateway = Gateway::with(|config, _| {
        let target = over(vec![
            route(PROFILE, "us-east-1", 1),
            // Another model counts differently.
            route(MODEL, "us-east-2", 2),
            route(PROFILE, "us-west-2", 3),
        ]);
        config.targets.aliases.insert("t".to_owned(), target);
    })
    .await;
    let fault = "service-unavailable".parse().unwrap();
    gateway
        .emulator
        .set_region("us-east-1", Condition::Fault(fault));
    for _ in 0..10 {
        let counted = count(&gateway, "t").await.unwrap();
        let reasons: Vec<_> = counted
            .attempts
            .iter()
            .map(|attempt| attempt.failure_reason.as_str())
            .collect();
        assert_eq!(reasons, ["UPSTREAM_UNAVAILABLE", ""]);
        assert_eq!(counted.target.unwrap().source_region, "us-west-2");
    }
    let breaker = format!(
        r#"bedrock_grpc_breaker_state{{model_id="{PROFILE}",source_region="us-east-1",state="closed"}}"#
    );
    assert_eq!(gateway.metric(&breaker).await, 1.0);
}

#[tokio::test]
async fn an_invalid_request_is_refused_before_bedrock_is_called() {
    let gateway = Gateway::start().await;
    let mut empty = request("nova");
    empty.input.as_mut().unwrap().messages[0].content = vec![ContentBlock::default()];
    let failed = soon(gateway.inference().count_tokens(empty))
        .await
        .unwrap_err();
    assert_eq!(failed.code(), Code::InvalidArgument);
    let failed = count(&gateway, "novo").await.unwrap_err();
    assert_eq!(Details::of(&failed).reason(), "TARGET_UNKNOWN");
    assert!(gateway.emulator.calls().is_empty());
}

#[tokio::test]
async fn each_attempt_has_a_span() {
    let collector = Collector::start().await;
    let gateway = Gateway::with(|config, _| {
        config.traces.otlp_endpoint = Some(collector.endpoint());
        let target = over(vec![
            route(PROFILE, "us-east-1", 1),
            route(PROFILE, "us-west-2", 2),
        ]);
        config.targets.aliases.insert("t".to_owned(), target);
    })
    .await;
    let fault = "service-unavailable".parse().unwrap();
    gateway
        .emulator
        .set_region("us-east-1", Condition::Fault(fault));
    let mut asked = tonic::Request::new(request("t"));
    let id = "counted".parse().unwrap();
    asked.metadata_mut().insert("x-request-id", id);
    soon(gateway.inference().count_tokens(asked)).await.unwrap();
    let Spans { call, attempts } = collector.call("counted").await;
    assert_eq!(call.attribute("bedrock_grpc.attempts"), "2");
    let calls = gateway.emulator.calls();
    assert_eq!(attempts.len(), 2);
    for (span, seen) in attempts.iter().zip(&calls) {
        assert_eq!(span.name, format!("count_tokens {PROFILE}"));
        let told = format!("00-{}-{}-01", call.trace_id, span.span_id);
        assert_eq!(seen.header("traceparent"), Some(told.as_str()));
        assert_eq!(span.attribute("cloud.region"), seen.region);
        assert_eq!(span.attribute("gen_ai.response.finish_reasons"), "");
    }
    let failures: Vec<_> = attempts
        .iter()
        .map(|span| span.attribute("error.type"))
        .collect();
    assert_eq!(failures, ["UPSTREAM_UNAVAILABLE", ""]);
}

#[tokio::test]
async fn callers_and_accounts_apply() {
    let key = key_of();
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &key)]);
        config.accounts.insert("one".to_owned(), account());
        let mut one = route(PROFILE, "us-east-1", 1);
        one.accounts = vec!["one".to_owned()];
        config
            .targets
            .aliases
            .insert("t".to_owned(), over(vec![one]));
    })
    .await;
    let failed = count(&gateway, "t").await.unwrap_err();
    assert_eq!(failed.code(), Code::Unauthenticated);
    let counted = soon(gateway.inference().count_tokens(keyed(request("t"), &key)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(counted.target.unwrap().account, "one");
    let calls = gateway.emulator.calls();
    let call = calls.iter().find(|call| call.operation == "CountTokens");
    let role = call.unwrap().assumed_role.as_deref();
    assert_eq!(
        role,
        Some("arn:aws:sts::111122223333:assumed-role/bedrock/team-a")
    );
}

/// An account with a session for each caller.
fn account() -> AccountOptions {
    let text = "accounts: {a: {role_arn: 'arn:aws:iam::111122223333:role/bedrock', session_per_caller: true}}";
    let config = Config::parse(text, &|_| None).unwrap();
    config.accounts.into_values().next().unwrap()
}
