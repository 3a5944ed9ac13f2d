//! `GuardrailService.ApplyGuardrail`.

use std::time::{Duration, Instant};

use bedrock_emulator::{Call, Condition, End};
use bedrock_grpc::{
    config::{AccountOptions, Config, Quota},
    pb::{
        ApplyGuardrailRequest, ApplyGuardrailResponse, GuardrailAction, GuardrailContentSource,
        GuardrailConverseContentBlock, GuardrailConverseContentQualifier,
        GuardrailConverseImageBlock, GuardrailConverseTextBlock, GuardrailOutputScope, ImageFormat,
        MediaSource, guardrail_converse_content_block::Content, media_source::Source,
    },
};
use serde_json::{Value, json};
use tonic::{Code, IntoRequest, Status};

use crate::harness::{
    Collector, Details, Gateway, MODEL, Spans, access_of, key_of, keyed, over, route, soon,
    two_teams,
};

const ARN: &str = "arn:aws:bedrock:us-west-2:123456789012:guardrail/abc1";

fn text(text: &str, qualifiers: &[GuardrailConverseContentQualifier]) -> Content {
    Content::Text(GuardrailConverseTextBlock {
        text: text.to_owned(),
        qualifiers: qualifiers
            .iter()
            .map(|&qualifier| qualifier.into())
            .collect(),
    })
}

fn block(content: Content) -> GuardrailConverseContentBlock {
    GuardrailConverseContentBlock {
        content: Some(content),
    }
}

/// A request for a guardrail of the caller's own.
fn request(target: &str, content: &str) -> ApplyGuardrailRequest {
    ApplyGuardrailRequest {
        target: target.to_owned(),
        guardrail_identifier: Some("mine1".to_owned()),
        guardrail_version: Some("3".to_owned()),
        source: GuardrailContentSource::Output.into(),
        content: vec![block(text(content, &[]))],
        ..ApplyGuardrailRequest::default()
    }
}

/// A request for the operator's guardrail.
fn unnamed(target: &str, content: &str) -> ApplyGuardrailRequest {
    ApplyGuardrailRequest {
        guardrail_identifier: None,
        guardrail_version: None,
        ..request(target, content)
    }
}

async fn apply(
    gateway: &Gateway,
    request: impl IntoRequest<ApplyGuardrailRequest>,
) -> Result<ApplyGuardrailResponse, Status> {
    let applied = soon(gateway.guardrails().apply_guardrail(request)).await;
    applied.map(tonic::Response::into_inner)
}

/// The guardrails and Regions that the emulator was called with.
fn applied(calls: &[Call]) -> Vec<(&str, &str)> {
    let calls = calls
        .iter()
        .filter(|call| call.operation == "ApplyGuardrail");
    calls
        .map(|call| (call.model_id.as_str(), call.region.as_str()))
        .collect()
}

const ENFORCED: &str = "
targets:
  t: {model_id: 'amazon.nova-lite-v1:0', guardrail: {identifier: gr1, version: '7', enforced: true}}
";

#[tokio::test]
async fn personal_data_is_masked_and_everything_bedrock_says_is_returned() {
    let gateway = Gateway::start().await;
    let mut asked = request("nova", "Write to ann@example.com.");
    asked.output_scope = GuardrailOutputScope::Full.into();
    asked.content.push(block(text(
        "Which address?",
        &[GuardrailConverseContentQualifier::Query],
    )));
    asked.content.push(block(text(
        "The address is known.",
        &[GuardrailConverseContentQualifier::GroundingSource],
    )));
    asked
        .content
        .push(block(Content::Image(GuardrailConverseImageBlock {
            format: ImageFormat::Png.into(),
            source: Some(MediaSource {
                source: Some(Source::Bytes(b"png".as_slice().into())),
            }),
            ..GuardrailConverseImageBlock::default()
        })));
    let answer = apply(&gateway, asked).await.unwrap();
    assert_eq!(answer.action(), GuardrailAction::GuardrailIntervened);
    assert_eq!(answer.action_name, "GUARDRAIL_INTERVENED");
    assert_eq!(answer.action_reason.as_deref(), Some("Guardrail masked."));
    let outputs: Vec<_> = answer.outputs.iter().map(|output| output.text()).collect();
    assert_eq!(outputs, ["Write to {EMAIL}."]);
    let [assessment] = answer.assessments.as_slice() else {
        panic!("{answer:?}");
    };
    let personal = assessment.sensitive_information_policy.as_ref().unwrap();
    assert_eq!(personal.pii_entities[0].r#match(), "ann@example.com");
    assert_eq!(personal.pii_entities[0].action(), "ANONYMIZED");
    let filters = &assessment.content_policy.as_ref().unwrap().filters;
    assert!(filters.iter().all(|filter| !filter.detected()));
    let usage = answer.usage.unwrap();
    assert_eq!(usage.contextual_grounding_policy_units, Some(1));
    assert_eq!(usage.content_policy_image_units, Some(1));
    assert_eq!(usage.topic_policy_units, Some(1));
    let coverage = answer.guardrail_coverage.unwrap();
    let characters = coverage.text_characters.unwrap();
    assert_eq!((characters.guarded(), characters.total()), (25, 60));
    assert_eq!(coverage.images.unwrap().total(), 1);
    assert_eq!(answer.raw_members, []);

    assert_eq!(answer.guardrail_identifier, "mine1");
    assert_eq!(answer.guardrail_version, "3");
    let target = answer.target.unwrap();
    assert_eq!(
        (&*target.name, &*target.source_region),
        ("nova", "us-east-1")
    );
    assert_eq!(answer.attempts.len(), 1);
    let calls = gateway.emulator.calls();
    assert_eq!(applied(&calls), [("mine1", "us-east-1")]);
    assert_eq!(calls[0].request_id, answer.bedrock_request_id);
    let body: Value = serde_json::from_slice(&calls[0].body).unwrap();
    let expected = json!({
        "source": "OUTPUT",
        "content": [
            {"text": {"text": "Write to ann@example.com."}},
            {"text": {"text": "Which address?", "qualifiers": ["query"]}},
            {"text": {"text": "The address is known.", "qualifiers": ["grounding_source"]}},
            {"image": {"format": "png", "source": {"bytes": "cG5n"}}},
        ],
        "outputScope": "FULL",
    });
    assert_eq!(body, expected);
    let sample = r#"bedrock_grpc_calls_total{method="ApplyGuardrail",target="nova",code="OK"}"#;
    assert_eq!(gateway.metric(sample).await, 1.0);
}

#[tokio::test]
async fn content_is_blocked_or_passes() {
    let gateway = Gateway::start().await;
    let blocked = apply(&gateway, request("nova", "emulate:guardrail_block")).await;
    let blocked = blocked.unwrap();
    assert_eq!(blocked.action(), GuardrailAction::GuardrailIntervened);
    assert!(
        blocked.outputs[0].text().starts_with("Sorry"),
        "{blocked:?}"
    );
    let words = blocked.assessments[0].word_policy.as_ref().unwrap();
    assert_eq!(words.custom_words[0].action(), "BLOCKED");
    let passed = apply(&gateway, request("nova", "Hello")).await.unwrap();
    assert_eq!(passed.action(), GuardrailAction::None);
    assert_eq!(passed.outputs, []);
    assert_eq!(passed.assessments[0].content_policy, None);
}

#[tokio::test]
async fn the_guardrail_of_the_target_applies_and_no_other_where_it_is_enforced() {
    let (gateway, a, _) = two_teams(ENFORCED, "{}").await;
    let answer = apply(&gateway, keyed(unnamed("t", "Hello"), &a))
        .await
        .unwrap();
    assert_eq!(answer.guardrail_identifier, "gr1");
    assert_eq!(answer.guardrail_version, "7");
    let mut same = request("t", "Hello");
    same.guardrail_identifier = Some("gr1".to_owned());
    same.guardrail_version = Some("7".to_owned());
    apply(&gateway, keyed(same, &a)).await.unwrap();
    let other = request("t", "Hello");
    let failed = apply(&gateway, keyed(other, &a)).await.unwrap_err();
    assert_eq!(failed.code(), Code::InvalidArgument);
    let details = Details::of(&failed);
    assert_eq!(details.fields(), ["guardrail_identifier"]);
    let calls = gateway.emulator.calls();
    assert_eq!(applied(&calls), [("gr1", "us-east-1"); 2]);
}

#[tokio::test]
async fn the_guardrail_of_a_caller_can_be_replaced_unless_it_is_enforced() {
    let targets = "targets: {t: {model_id: 'amazon.nova-lite-v1:0'}}";
    let team = "{guardrail: {identifier: team1, version: '1'}}";
    let (gateway, a, b) = two_teams(targets, team).await;
    let answer = apply(&gateway, keyed(unnamed("t", "Hello"), &a))
        .await
        .unwrap();
    assert_eq!(answer.guardrail_identifier, "team1");
    let answer = apply(&gateway, keyed(request("t", "Hello"), &a))
        .await
        .unwrap();
    assert_eq!(answer.guardrail_identifier, "mine1");
    // There is none for the other caller.
    let failed = apply(&gateway, keyed(unnamed("t", "Hello"), &b))
        .await
        .unwrap_err();
    assert_eq!(failed.code(), Code::InvalidArgument);
    assert_eq!(Details::of(&failed).fields(), ["guardrail_identifier"]);
    assert!(failed.message().contains("is required"), "{failed:?}");
}

#[tokio::test]
async fn a_caller_without_the_permission_is_refused() {
    let (gateway, a, b) = two_teams(ENFORCED, "{methods: [Invoke, CountTokens]}").await;
    let failed = apply(&gateway, keyed(unnamed("t", "Hello"), &a))
        .await
        .unwrap_err();
    assert_eq!(failed.code(), Code::PermissionDenied);
    assert_eq!(Details::of(&failed).reason(), "CALLER_NOT_ALLOWED");
    let named = "may not call ApplyGuardrail; it may call Invoke, CountTokens";
    assert!(failed.message().contains(named), "{failed:?}");
    assert!(gateway.emulator.calls().is_empty());
    let anonymous = apply(&gateway, unnamed("t", "Hello")).await.unwrap_err();
    assert_eq!(anonymous.code(), Code::Unauthenticated);
    apply(&gateway, keyed(unnamed("t", "Hello"), &b))
        .await
        .unwrap();
    let sample = r#"bedrock_grpc_caller_calls_total{caller="team-b",code="OK"}"#;
    assert_eq!(gateway.metric(sample).await, 1.0);
}

#[tokio::test]
async fn a_request_counts_towards_the_limit_of_requests_but_not_of_tokens() {
    let key = key_of();
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &key)]);
        config.access.callers.get_mut("team-a").unwrap().quota = Quota {
            requests_per_minute: Some(1),
            tokens_per_minute: Some(1),
            ..Quota::default()
        };
    })
    .await;
    apply(&gateway, keyed(request("nova", "Hello"), &key))
        .await
        .unwrap();
    let failed = apply(&gateway, keyed(request("nova", "Hello"), &key)).await;
    let failed = failed.unwrap_err();
    assert_eq!(failed.code(), Code::ResourceExhausted);
    assert_eq!(Details::of(&failed).reason(), "CALLER_RATE_LIMIT");
}

#[tokio::test]
async fn invalid_requests_are_refused_before_bedrock_is_called() {
    let gateway = Gateway::start().await;
    let mut wrong = request("nova", "");
    wrong.source = 0;
    wrong.guardrail_identifier = Some("Not a guardrail".to_owned());
    wrong.guardrail_version = None;
    wrong.output_scope = 9;
    let failed = apply(&gateway, wrong).await.unwrap_err();
    assert_eq!(failed.code(), Code::InvalidArgument);
    let expected = [
        "guardrail_version",
        "guardrail_identifier",
        "source",
        "content[0].text.text",
        "output_scope",
    ];
    assert_eq!(Details::of(&failed).fields(), expected);
    let mut empty = request("nova", "");
    empty.content.clear();
    let failed = apply(&gateway, empty).await.unwrap_err();
    assert_eq!(Details::of(&failed).fields(), ["content"]);
    let failed = apply(&gateway, request("novo", "Hello")).await.unwrap_err();
    assert_eq!(Details::of(&failed).reason(), "TARGET_UNKNOWN");
    assert!(gateway.emulator.calls().is_empty());
}

#[tokio::test]
async fn another_region_answers_and_no_account_and_region_is_called_twice() {
    let gateway = Gateway::with(|config, _| {
        let target = over(vec![
            route(MODEL, "us-east-1", 1),
            route("us.amazon.nova-lite-v1:0", "us-east-1", 2),
            route(MODEL, "us-west-2", 3),
        ]);
        config.targets.aliases.insert("t".to_owned(), target);
    })
    .await;
    let fault = "service-unavailable".parse().unwrap();
    gateway
        .emulator
        .set_region("us-east-1", Condition::Fault(fault));
    let answer = apply(&gateway, request("t", "Hello")).await.unwrap();
    let reasons: Vec<_> = answer
        .attempts
        .iter()
        .map(|attempt| attempt.failure_reason.as_str())
        .collect();
    assert_eq!(reasons, ["UPSTREAM_UNAVAILABLE", ""]);
    assert_eq!(answer.target.unwrap().source_region, "us-west-2");
    let expected = [("mine1", "us-east-1"), ("mine1", "us-west-2")];
    assert_eq!(applied(&gateway.emulator.calls()), expected);
    // Models have separate quotas, so the health of their routes is not affected.
    let breaker = format!(
        r#"bedrock_grpc_breaker_state{{model_id="{MODEL}",source_region="us-east-1",state="closed"}}"#
    );
    assert_eq!(gateway.metric(&breaker).await, 1.0);
}

#[tokio::test]
async fn an_arn_is_applied_in_its_region_only() {
    let gateway = Gateway::with(|config, _| {
        let target = over(vec![
            route(MODEL, "us-east-1", 1),
            route(MODEL, "us-west-2", 2),
        ]);
        config.targets.aliases.insert("t".to_owned(), target);
    })
    .await;
    let mut named = request("t", "Hello");
    named.guardrail_identifier = Some(ARN.to_owned());
    let answer = apply(&gateway, named.clone()).await.unwrap();
    assert_eq!(answer.attempts.len(), 1);
    assert_eq!(applied(&gateway.emulator.calls()), [(ARN, "us-west-2")]);
    named.target = "nova".to_owned();
    let failed = apply(&gateway, named).await.unwrap_err();
    assert_eq!(failed.code(), Code::InvalidArgument);
    assert!(failed.message().contains("us-west-2"), "{failed:?}");
}

#[tokio::test]
async fn accounts_and_the_sessions_of_callers_apply() {
    let key = key_of();
    let gateway = Gateway::with(|config, _| {
        config.access = access_of(&[("team-a", &key)]);
        config.accounts.insert("one".to_owned(), account());
        let mut one = route(MODEL, "us-east-1", 1);
        one.accounts = vec!["one".to_owned()];
        config
            .targets
            .aliases
            .insert("t".to_owned(), over(vec![one]));
    })
    .await;
    let answer = apply(&gateway, keyed(request("t", "Hello"), &key))
        .await
        .unwrap();
    assert_eq!(answer.target.unwrap().account, "one");
    let calls = gateway.emulator.calls();
    let call = calls.iter().find(|call| call.operation == "ApplyGuardrail");
    assert_eq!(
        call.unwrap().assumed_role.as_deref(),
        Some("arn:aws:sts::111122223333:assumed-role/bedrock/team-a")
    );
}

/// An account with a session for each caller.
fn account() -> AccountOptions {
    let text = "accounts: {a: {role_arn: 'arn:aws:iam::111122223333:role/bedrock', session_per_caller: true}}";
    let config = Config::parse(text, &|_| None).unwrap();
    config.accounts.into_values().next().unwrap()
}

#[tokio::test]
async fn a_call_and_its_attempt_have_spans() {
    let collector = Collector::start().await;
    let gateway = Gateway::with(|config, _| {
        config.traces.otlp_endpoint = Some(collector.endpoint());
    })
    .await;
    let mut asked = tonic::Request::new(request("nova", "Hello"));
    let id = "checked".parse().unwrap();
    asked.metadata_mut().insert("x-request-id", id);
    let answer = apply(&gateway, asked).await.unwrap();
    assert_eq!(answer.request_id, "checked");
    let Spans { call, attempts } = collector.call("checked").await;
    let name = "bedrock.inference.v1.GuardrailService/ApplyGuardrail";
    assert_eq!(call.name, name);
    assert_eq!(call.attribute("rpc.method"), name);
    assert_eq!(call.attribute("rpc.response.status_code"), "OK");
    assert_eq!(call.attribute("bedrock_grpc.attempts"), "1");
    let [attempt] = &attempts[..] else {
        panic!("{attempts:#?}");
    };
    let seen = gateway.emulator.calls().remove(0);
    assert_eq!(attempt.name, "apply_guardrail");
    assert_eq!(attempt.parent, call.span_id);
    let told = format!("00-{}-{}-01", call.trace_id, attempt.span_id);
    assert_eq!(seen.header("traceparent"), Some(told.as_str()));
    for (name, expected) in [
        ("gen_ai.operation.name", "apply_guardrail"),
        ("gen_ai.request.model", ""),
        ("gen_ai.request.stream", ""),
        ("aws.bedrock.guardrail.id", "mine1"),
        ("aws.request_id", seen.request_id.as_str()),
        ("cloud.region", "us-east-1"),
        ("error.type", ""),
    ] {
        assert_eq!(attempt.attribute(name), expected, "{name}");
    }
}

/// Waits until the only call has reached Bedrock, which does not answer.
async fn arrived(gateway: &Gateway) {
    soon(gateway.emulator.wait_for(|calls| calls.len() == 1)).await;
}

#[tokio::test]
async fn a_cancel_closes_bedrocks_call() {
    let gateway = Gateway::start().await;
    let stall = "stall-before-headers".parse().unwrap();
    gateway
        .emulator
        .set_region("us-east-1", Condition::Fault(stall));
    let mut client = gateway.guardrails();
    let call = tokio::spawn(async move { client.apply_guardrail(request("nova", "Hello")).await });
    arrived(&gateway).await;
    let left = Instant::now();
    call.abort();
    let calls = gateway.ended(1).await;
    assert!(left.elapsed() < Duration::from_secs(5));
    assert_eq!(calls[0].end, Some(End::ClientGone));
    let cancelled = r#"bedrock_grpc_calls_total{method="ApplyGuardrail",code="CANCELLED"}"#;
    // The gateway counts the call right after it has closed Bedrock's.
    soon(async { while gateway.metric(cancelled).await < 1.0 {} }).await;
    assert_eq!(gateway.metric("bedrock_grpc_open_calls").await, 0.0);
}

/// Clients enforce `grpc-timeout` themselves, too, so the operator's maximum is tested.
#[tokio::test]
async fn a_deadline_closes_bedrocks_call() {
    let gateway = Gateway::with(|config, _| {
        config.limits.max_deadline = Duration::from_millis(300);
    })
    .await;
    let stall = "stall-before-headers".parse().unwrap();
    gateway
        .emulator
        .set_region("us-east-1", Condition::Fault(stall));
    let failed = apply(&gateway, request("nova", "Hello")).await.unwrap_err();
    assert_eq!(failed.code(), Code::DeadlineExceeded);
    assert_eq!(Details::of(&failed).reason(), "DEADLINE_EXCEEDED");
    assert_eq!(gateway.ended(1).await[0].end, Some(End::ClientGone));
}

#[tokio::test]
async fn a_call_has_a_slot_and_ends_with_a_drain() {
    let mut gateway = Gateway::with(|config, _| {
        config.limits.max_streams = 1;
        config.drain.limit = Duration::from_millis(50);
    })
    .await;
    let stall = "stall-before-headers".parse().unwrap();
    gateway
        .emulator
        .set_region("us-east-1", Condition::Fault(stall));
    let mut client = gateway.guardrails();
    let call = tokio::spawn(async move { client.apply_guardrail(request("nova", "Hello")).await });
    arrived(&gateway).await;
    let refused = apply(&gateway, request("nova", "Hello")).await.unwrap_err();
    assert_eq!(Details::of(&refused).reason(), "REPLICA_SATURATED");
    gateway.stop.drain.cancel();
    let failed = soon(call).await.unwrap().unwrap_err();
    assert_eq!(Details::of(&failed).reason(), "DRAINING");
    gateway.finished().await;
}
