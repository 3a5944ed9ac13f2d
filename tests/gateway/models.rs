//! `ModelService.InvokeModel`: the models' own formats, and what the operator enforces in them.

use bedrock_emulator::{Call, Condition};
use bedrock_grpc::pb::{
    GuardrailStreamConfiguration, InvokeModelRequest, InvokeModelResponse, ServiceTier,
    ServiceTierType,
};
use serde_json::{Value, json};
use tonic::{Code, IntoRequest, Status};

use crate::harness::{Details, Gateway, keyed, soon, two_teams};

const TITAN: &str = "amazon.titan-embed-text-v2:0";
const ALLOWED: &str = "{methods: [InvokeModel, Invoke]}";
const TARGETS: &str = "
targets:
  embed: {model_id: 'amazon.titan-embed-text-v2:0', invoke_model: true}
  claude: {model_id: us.anthropic.claude-sonnet-5, invoke_model: true}
  plain: {model_id: 'amazon.titan-embed-text-v2:0'}
  other: {model_id: 'amazon.nova-lite-v1:0', invoke_model: true, fallback: plain}
allowed_model_ids: ['*']
";

pub(crate) fn request(target: &str, body: impl Into<String>) -> InvokeModelRequest {
    InvokeModelRequest {
        target: target.to_owned(),
        body: body.into().into(),
        ..InvokeModelRequest::default()
    }
}

/// A body in Anthropic's format, with these members.
pub(crate) fn messages(members: &str) -> String {
    format!(
        r#"{{"anthropic_version":"bedrock-2023-05-31","messages":[{{"role":"user","content":"Say hi"}}]{members}}}"#
    )
}

pub(crate) async fn call(
    gateway: &Gateway,
    request: impl IntoRequest<InvokeModelRequest>,
) -> Result<InvokeModelResponse, Status> {
    let answered = soon(gateway.models().invoke_model(request)).await;
    answered.map(tonic::Response::into_inner)
}

/// Expects a refusal: its code, its reason, and words of its message.
#[track_caller]
pub(crate) fn assert_refused(
    answered: Result<InvokeModelResponse, Status>,
    expected: (Code, &str, &str),
) {
    let status = answered.expect_err("a refusal");
    let (code, reason, words) = expected;
    let details = Details::of(&status);
    assert_eq!(
        (status.code(), &*details.reason()),
        (code, reason),
        "{status:?}"
    );
    assert!(status.message().contains(words), "{status:?}");
}

pub(crate) fn header<'c>(call: &'c Call, name: &str) -> Option<&'c str> {
    let mut headers = call.headers.iter();
    let found = headers.find(|(known, _)| known == name)?;
    Some(&found.1)
}

#[tokio::test]
async fn an_embedding_arrives_with_its_usage_and_the_body_is_sent_verbatim() {
    let (gateway, a, _) = two_teams(TARGETS, ALLOWED).await;
    let body = "{ \"dimensions\":256,\n\"inputText\" : \"caf\\u00e9\" }";
    let answer = call(&gateway, keyed(request("embed", body), &a))
        .await
        .unwrap();
    let read: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(read["embedding"].as_array().unwrap().len(), 256);
    assert_eq!(answer.content_type, "application/json");
    let usage = answer.usage.unwrap();
    assert_eq!((usage.input_tokens(), usage.output_tokens()), (1, 0));
    let target = answer.target.unwrap();
    assert_eq!((&*target.name, &*target.model_id), ("embed", TITAN));
    assert_eq!(answer.attempts.len(), 1);
    let calls = gateway.emulator.calls();
    assert_eq!(
        (calls[0].operation, &*calls[0].body),
        ("InvokeModel", body.as_bytes())
    );
    assert_eq!(calls[0].request_id, answer.bedrock_request_id);
    assert_eq!(header(&calls[0], "content-type"), Some("application/json"));
    let sample = r#"bedrock_grpc_calls_total{method="InvokeModel",target="embed",code="OK"}"#;
    assert_eq!(gateway.metric(sample).await, 1.0);
    let answer = call(
        &gateway,
        keyed(request("claude", messages(r#","max_tokens":20"#)), &a),
    );
    let usage = answer.await.unwrap().usage.unwrap();
    assert!(
        usage.input_tokens() > 0 && usage.output_tokens() > 0,
        "{usage:?}"
    );
}

#[tokio::test]
async fn it_is_off_unless_the_target_and_the_caller_name_it() {
    let (gateway, a, b) = two_teams(TARGETS, ALLOWED).await;
    let text = r#"{"inputText":"x"}"#;
    let off = (
        Code::PermissionDenied,
        "TARGET_NOT_ALLOWED",
        "targets.plain.invoke_model",
    );
    assert_refused(call(&gateway, keyed(request("plain", text), &a)).await, off);
    let raw = (Code::PermissionDenied, "TARGET_NOT_ALLOWED", "use an alias");
    assert_refused(call(&gateway, keyed(request(TITAN, text), &a)).await, raw);
    let unlisted = (
        Code::PermissionDenied,
        "CALLER_NOT_ALLOWED",
        "may not call InvokeModel",
    );
    assert_refused(
        call(&gateway, keyed(request("embed", text), &b)).await,
        unlisted,
    );
    let anonymous = call(&gateway, request("embed", text)).await.unwrap_err();
    assert_eq!(anonymous.code(), Code::Unauthenticated);
    assert!(gateway.emulator.calls().is_empty());
    // The routes of a fallback that does not have the key are not called.
    let failed = call(&gateway, keyed(request("other", "{}"), &a))
        .await
        .unwrap_err();
    assert_eq!(Details::of(&failed).reason(), "UPSTREAM_VALIDATION");
    let fault = "service-unavailable".parse().unwrap();
    gateway
        .emulator
        .set_region("us-east-1", Condition::Fault(fault));
    let failed = call(&gateway, keyed(request("other", "{}"), &a))
        .await
        .unwrap_err();
    assert_eq!(Details::of(&failed).reason(), "UPSTREAM_UNAVAILABLE");
    let calls = gateway.emulator.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.model_id == "amazon.nova-lite-v1:0"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn another_region_answers_until_the_answer_has_begun() {
    let config = "
targets:
  embed:
    invoke_model: true
    routes:
      - {model_id: 'amazon.titan-embed-text-v2:0', region: us-east-1}
      - {model_id: 'amazon.titan-embed-text-v2:0', region: us-west-2}
";
    let (gateway, a, _) = two_teams(config, ALLOWED).await;
    let text = || keyed(request("embed", r#"{"inputText":"x"}"#), &a);
    let fault = "throttling".parse().unwrap();
    gateway
        .emulator
        .set_region("us-east-1", Condition::Fault(fault));
    let answer = call(&gateway, text()).await.unwrap();
    let reasons: Vec<_> = answer
        .attempts
        .iter()
        .map(|attempt| attempt.failure_reason.as_str())
        .collect();
    assert_eq!(reasons, ["UPSTREAM_THROTTLED", ""]);
    assert_eq!(answer.target.unwrap().source_region, "us-west-2");
    // The route cools down, as for calls of Converse.
    let answer = call(&gateway, text()).await.unwrap();
    assert_eq!(answer.attempts.len(), 1);
    let fault = "reset".parse().unwrap();
    gateway
        .emulator
        .set_region("us-west-2", Condition::Fault(fault));
    let before = gateway.emulator.calls().len();
    let broken = (Code::Unavailable, "UPSTREAM_TRUNCATED", "");
    assert_refused(call(&gateway, text()).await, broken);
    assert_eq!(gateway.emulator.calls().len(), before + 1);
}

#[tokio::test]
async fn guardrail_tier_and_metadata_of_the_operator_replace_those_of_the_caller() {
    let config = "
targets:
  claude:
    model_id: us.anthropic.claude-sonnet-5
    invoke_model: true
    guardrail: {identifier: gr1, version: '7', enforced: true, trace: enabled}
    service_tiers: [flex]
    request_metadata: {team: ours}
";
    let (gateway, a, _) = two_teams(config, ALLOWED).await;
    let mut asked = request("claude", messages(r#","max_tokens":20"#));
    asked.request_metadata = [("TEAM", "theirs"), ("job", "7")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let answer = call(&gateway, keyed(asked.clone(), &a)).await.unwrap();
    let read: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(read["amazon-bedrock-guardrailAction"], "NONE");
    let sent = gateway.emulator.calls().remove(0);
    assert_eq!(
        header(&sent, "x-amzn-bedrock-guardrailidentifier"),
        Some("gr1")
    );
    assert_eq!(header(&sent, "x-amzn-bedrock-guardrailversion"), Some("7"));
    assert_eq!(header(&sent, "x-amzn-bedrock-trace"), Some("ENABLED"));
    assert_eq!(header(&sent, "x-amzn-bedrock-service-tier"), Some("flex"));
    let metadata = header(&sent, "x-amzn-bedrock-request-metadata");
    assert_eq!(metadata, Some(r#"{"job":"7","team":"ours"}"#));
    let invalid = async |field: &str, asked: InvokeModelRequest| {
        let failed = call(&gateway, keyed(asked, &a)).await.unwrap_err();
        assert_eq!(failed.code(), Code::InvalidArgument, "{failed:?}");
        assert_eq!(Details::of(&failed).fields(), [field]);
    };
    let mut other = asked.clone();
    other.guardrail_config = Some(GuardrailStreamConfiguration {
        guardrail_identifier: Some("mine1".to_owned()),
        guardrail_version: Some("1".to_owned()),
        ..GuardrailStreamConfiguration::default()
    });
    invalid("guardrail_config", other).await;
    let mut other = asked.clone();
    other.service_tier = Some(ServiceTier {
        r#type: ServiceTierType::Priority.into(),
        ..ServiceTier::default()
    });
    invalid("service_tier.type", other).await;
    // Tags would let the body select what the guardrail checks.
    for members in [
        r#","max_tokens":20,"amazon-bedrock-guardrailConfig":{"tagSuffix":"x"}"#,
        r#","max_tokens":20,"amazon-bedrock-guardr\u0061ilConfig":{"tagSuffix":"x"}"#,
        r#","max_tokens":20,"service_tier":"priority""#,
    ] {
        invalid("body", request("claude", messages(members))).await;
    }
}

#[tokio::test]
async fn maximum_tokens_and_locations_are_enforced_in_the_body() {
    let config = "
targets:
  claude: {model_id: us.anthropic.claude-sonnet-5, invoke_model: true, limits: {max_tokens: 50}}
  embed: {model_id: 'amazon.titan-embed-text-v2:0', invoke_model: true, limits: {max_tokens: 50}}
  unknown:
    model_id: arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl
    invoke_model: true
    limits: {max_tokens: 50}
  declared:
    model_id: arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl
    invoke_model: true
    body_format: openai
    limits: {max_tokens: 50}
s3_locations: ['s3://open']
";
    let (gateway, a, _) = two_teams(config, ALLOWED).await;
    let ask =
        async |target: &str, body: String| call(&gateway, keyed(request(target, body), &a)).await;
    ask("claude", messages("")).await.unwrap();
    let sent: Value = serde_json::from_slice(&gateway.emulator.calls()[0].body).unwrap();
    assert_eq!(sent["max_tokens"], 50);
    ask("claude", messages(r#","max_tokens":50"#))
        .await
        .unwrap();
    ask("embed", json!({"inputText": "x"}).to_string())
        .await
        .unwrap();
    let answered = gateway.emulator.calls().len();
    let invalid = (Code::InvalidArgument, "INVALID_REQUEST", "");
    for members in [
        r#","max_tokens":51"#,
        r#","max_tok\u0065ns":51"#,
        r#","max_tokens":50,"maxTokens":51"#,
        r#","max_tokens":50,"thinking":{"type":"enabled","budget_tokens":1024}"#,
        r#","max_tokens":50,"x":"\u0073\u0033://secret/x""#,
    ] {
        assert_refused(ask("claude", messages(members)).await, invalid);
    }
    let text = messages(r#","max_tokens":50"#).replace("Say hi", "s3://secret/x");
    let place = (
        Code::InvalidArgument,
        "INVALID_REQUEST",
        "\"/messages/0/content\": ",
    );
    assert_refused(ask("claude", text).await, place);
    let nested = messages(r#","max_tokens":50,"x":{"y":["s3:\/\/secret\/x"]}"#);
    let place = (Code::InvalidArgument, "INVALID_REQUEST", "\"/x/y/0\": ");
    assert_refused(ask("claude", nested).await, place);
    for (target, body, words) in [
        (
            "claude",
            messages(r#","max_tokens":9,"max_tokens":9"#),
            "twice",
        ),
        (
            "claude",
            messages(r#","max_tokens":null"#),
            "`max_tokens` must be an integer",
        ),
        (
            "claude",
            messages(r#","max_tokens":5.0"#),
            "from 1 to 50, without a fraction",
        ),
        ("claude", "[]".to_owned(), "must be an object"),
        (
            "claude",
            "not JSON".to_owned(),
            "s3_locations, limits.max_tokens cannot be applied",
        ),
        ("claude", messages("") + "{}", "not JSON"),
        (
            "unknown",
            "{}".to_owned(),
            "set targets.unknown.body_format",
        ),
        (
            "declared",
            r#"{"max_tokens":1,"max_completion_tokens":1}"#.to_owned(),
            "twice",
        ),
    ] {
        let expected = (Code::PermissionDenied, "BODY_NOT_ENFORCEABLE", words);
        assert_refused(ask(target, body).await, expected);
    }
    assert_eq!(gateway.emulator.calls().len(), answered);
    let open = messages(r#","max_tokens":50,"x":"s3://open/x""#);
    ask("claude", open).await.unwrap();
    // The emulator has no imported models, but the gateway applies the declared format.
    ask("declared", "{}".to_owned()).await.unwrap_err();
    let calls = gateway.emulator.calls();
    assert_eq!(
        calls.last().unwrap().body,
        br#"{"max_completion_tokens":50}"#[..]
    );
}

#[tokio::test]
async fn tokens_and_money_are_charged_and_calls_without_tokens_need_a_price() {
    let config = "
targets:
  claude: {model_id: us.anthropic.claude-sonnet-5, invoke_model: true}
  image: {model_id: 'stability.stable-image-core-v1:1', invoke_model: true}
  free: {model_id: 'stability.sd3-5-large-v1:0', invoke_model: true}
limits: {store: memory}
prices:
  - {models: ['*claude*'], input: 3000, output: 15000}
  - {models: ['*core*'], input: 0, output: 0, call: 40000000}
  - {models: ['*sd3*'], input: 0, output: 0}
";
    let team = "{methods: [InvokeModel], limits: {usd_per_day: 0.01, tokens_per_minute: 100000}}";
    let (gateway, a, _) = two_teams(config, team).await;
    let asked = keyed(request("claude", messages(r#","max_tokens":20"#)), &a);
    let response = soon(gateway.models().invoke_model(asked)).await.unwrap();
    let left = response
        .metadata()
        .get("x-ratelimit-remaining-nano-usd")
        .cloned();
    let answer = response.into_inner();
    let usage = answer.usage.unwrap();
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    let cost = i64::from(input) * 3000 + i64::from(output) * 15000;
    assert_eq!(answer.estimated_cost.unwrap().nano_usd, cost);
    let left: i64 = left.unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!(left, 10_000_000 - cost);
    let text = || r#"{"prompt":"a lighthouse"}"#.to_owned();
    let no_price = (
        Code::FailedPrecondition,
        "PRICE_UNKNOWN",
        "`per_image` or `call`",
    );
    assert_refused(
        call(&gateway, keyed(request("free", text()), &a)).await,
        no_price,
    );
    // A call costs more than the budget of the day.
    let budget = (Code::ResourceExhausted, "CALLER_BUDGET_EXHAUSTED", "");
    assert_refused(
        call(&gateway, keyed(request("image", text()), &a)).await,
        budget,
    );
    let several = r#"{"prompt":"a lighthouse","samples":4}"#;
    let one = (Code::InvalidArgument, "INVALID_REQUEST", "");
    assert_refused(
        call(&gateway, keyed(request("image", several), &a)).await,
        one,
    );
    assert_eq!(gateway.emulator.calls().len(), 1);
}

#[tokio::test]
async fn a_call_that_is_cancelled_before_its_answer_is_charged_by_an_estimate() {
    let config = "
targets:
  embed: {model_id: 'amazon.titan-embed-text-v2:0', region: us-east-1, invoke_model: true}
limits: {store: memory}
";
    let team = "{methods: [InvokeModel], limits: {tokens_per_day: 1000}}";
    let (gateway, a, _) = two_teams(config, team).await;
    let asked = || keyed(request("embed", r#"{"inputText":"a lighthouse"}"#), &a);
    let stall = "stall-before-headers".parse().unwrap();
    gateway
        .emulator
        .set_region("us-east-1", Condition::Fault(stall));
    let mut models = gateway.models();
    tokio::select! {
        answered = models.invoke_model(asked()) => panic!("{answered:?}"),
        _ = soon(gateway.emulator.wait_for(|calls| calls.len() == 1)) => {}
    }
    gateway.ended(1).await;
    gateway.emulator.clear_region("us-east-1");
    let answered = soon(gateway.models().invoke_model(asked())).await.unwrap();
    let left = answered
        .metadata()
        .get("x-ratelimit-remaining-tokens")
        .cloned();
    let left: i32 = left.unwrap().to_str().unwrap().parse().unwrap();
    let used = answered.into_inner().usage.unwrap().input_tokens();
    let estimated = 1000 - used - left;
    assert!(estimated >= used, "{estimated} {used}");
}

#[tokio::test]
async fn invalid_requests_are_refused_before_bedrock_is_called() {
    let (gateway, a, _) = two_teams(TARGETS, ALLOWED).await;
    let mut wrong = request("embed", "");
    wrong.accept = Some("a\nb".to_owned());
    wrong.guardrail_config = Some(GuardrailStreamConfiguration {
        guardrail_identifier: Some("gr1".to_owned()),
        ..GuardrailStreamConfiguration::default()
    });
    let failed = call(&gateway, keyed(wrong, &a)).await.unwrap_err();
    assert_eq!(failed.code(), Code::InvalidArgument);
    let expected = ["body", "accept", "guardrail_config.guardrail_version"];
    assert_eq!(Details::of(&failed).fields(), expected);
    let mut empty = request("", "{}");
    empty.accept = Some(String::new());
    let failed = call(&gateway, keyed(empty, &a)).await.unwrap_err();
    assert_eq!(Details::of(&failed).fields(), ["target", "accept"]);
    assert!(
        failed.message().contains("use an alias for which"),
        "{failed:?}"
    );
    // Nothing is enforced for this target, so no setting is named.
    let failed = call(&gateway, keyed(request("embed", "x"), &a)).await;
    let unreadable = "cannot check the body for objects in Amazon S3: the body is not JSON";
    assert_refused(
        failed,
        (Code::PermissionDenied, "BODY_NOT_ENFORCEABLE", unreadable),
    );
    let large = format!(r#"{{"inputText":"{}"}}"#, "x".repeat(25_000_000));
    let mut models = gateway.models().max_encoding_message_size(usize::MAX);
    let failed = soon(models.invoke_model(keyed(request("embed", large), &a))).await;
    let failed = failed.unwrap_err();
    assert_eq!(Details::of(&failed).fields(), ["body"], "{failed:?}");
    assert!(gateway.emulator.calls().is_empty());
}
