//! The ceiling of output tokens, and the service tiers.

use bedrock_grpc::pb::{InferenceConfiguration, ServiceTier, ServiceTierType, StreamInvokeRequest};
use serde_json::json;

use super::{gateway, refused, sent, with_fields, with_raw};
use crate::harness::ask;

const CEILING: &str = "
limits: {max_tokens: 500}
targets:
  t: {model_id: 'amazon.nova-lite-v1:0', limits: {max_tokens: 100}}
  wide: {model_id: 'amazon.nova-lite-v1:0', limits: {max_tokens: 9000}, defaults: {max_tokens: 7}}
";
const TIERS: &str = "
service_tiers: [flex, default, priority]
targets:
  t: {model_id: 'amazon.nova-lite-v1:0', service_tiers: [priority, flex]}
  open: {model_id: 'amazon.nova-lite-v1:0'}
";

fn tokens(target: &str, max_tokens: Option<i32>) -> StreamInvokeRequest {
    let mut request = ask(target);
    request.input.get_or_insert_default().inference_config = Some(InferenceConfiguration {
        max_tokens,
        ..InferenceConfiguration::default()
    });
    request
}

fn tier(target: &str, tier: ServiceTierType) -> StreamInvokeRequest {
    let mut request = ask(target);
    request.input.get_or_insert_default().service_tier = Some(ServiceTier {
        r#type: tier.into(),
        ..ServiceTier::default()
    });
    request
}

/// A request that names its tier in the field for tiers that this version does not define.
fn named_tier(target: &str, name: &str) -> StreamInvokeRequest {
    let mut request = ask(target);
    request.input.get_or_insert_default().service_tier = Some(ServiceTier {
        type_name: name.to_owned(),
        ..ServiceTier::default()
    });
    request
}

#[tokio::test]
async fn no_request_asks_for_more_tokens_than_the_ceiling() {
    let gateway = gateway(CEILING).await;
    for (request, expected) in [
        (ask("t"), 100),
        (tokens("t", None), 100),
        (tokens("t", Some(99)), 99),
        (tokens("t", Some(100)), 100),
        (ask("wide"), 7),
        (tokens("wide", Some(500)), 500),
        // Model IDs that callers name directly have only the limits for all targets.
        (ask("us.amazon.nova-lite-v1:0"), 500),
    ] {
        let body = sent(&gateway, request).await;
        assert_eq!(body["inferenceConfig"]["maxTokens"], expected);
    }
    for request in [
        tokens("t", Some(101)),
        tokens("wide", Some(501)),
        tokens("us.amazon.nova-lite-v1:0", Some(i32::MAX)),
    ] {
        refused(&gateway, request, "input.inference_config.max_tokens").await;
    }
}

#[tokio::test]
async fn raw_members_do_not_reach_the_ceiling() {
    let gateway = gateway(CEILING).await;
    for (pointer, json) in [
        ("/inferenceConfig", "{\"maxTokens\":101}"),
        ("/inferenceConfig", "{}"),
        ("/inferenceConfig/maxTokens", "101"),
        ("/inferenceConfig/max_tokens", "101"),
        ("/InferenceConfig/MaxTokens", "101"),
    ] {
        refused(
            &gateway,
            with_raw(&[(pointer, json)]),
            "input.raw_members[0].pointer",
        )
        .await;
    }
    for (pointer, json) in [
        ("/additionalModelRequestFields", "{\"max_tokens\":101}"),
        (
            "/additionalModelRequestFields",
            "{\"\\u006dax_tokens\":1e3}",
        ),
        (
            "/additionalModelRequestFields",
            "{\"a\":[{\"max_tokens\":\"101\"}]}",
        ),
        (
            "/additionalModelRequestFields",
            "{\"max_tokens\":1,\"max_tokens\":101}",
        ),
    ] {
        refused(
            &gateway,
            with_raw(&[(pointer, json)]),
            "input.raw_members[0].json",
        )
        .await;
    }
    let below = [
        ("/additionalModelRequestFields", "{}"),
        ("/additionalModelRequestFields/max_tokens", "101"),
    ];
    refused(&gateway, with_raw(&below), "input.raw_members[1].json").await;
    for fields in [
        "{\"max_tokens\":101}",
        "{\"max_tokens_to_sample\":101}",
        "{\"inferenceConfig\":{\"max_new_tokens\":101}}",
        "{\"textGenerationConfig\":{\"maxTokenCount\":101}}",
        "{\"max_gen_len\":101}",
        "{\"max_completion_tokens\":101}",
        "{\"maxTokens\":101}",
        "{\"num_predict\":101}",
        "{\"options\":{\"num_predict\":101}}",
        "{\"n_predict\":101}",
        "{\"N-Predict\":\"101\"}",
        "{\"max_output_tokens\":101}",
        "{\"reasoning_config\":{\"budget_tokens\":101}}",
        "{\"thinking_token_budget\":101}",
        "{\"n\":2}",
        "{\"num_generations\":5}",
        "{\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}}",
    ] {
        let [text, structure] = with_fields(fields);
        refused(&gateway, text, "input.additional_model_request_fields_json").await;
        refused(
            &gateway,
            structure,
            "input.additional_model_request_fields_struct",
        )
        .await;
    }
    // Callers can set other members, and numbers within the ceiling.
    let body = sent(&gateway, with_raw(&[("/inferenceConfig/topK", "5")])).await;
    assert_eq!(
        body["inferenceConfig"],
        json!({"maxTokens": 100, "topK": 5})
    );
    for fields in [
        "{\"max_tokens\":100,\"top_k\":500}",
        "{\"n\":1,\"stop_token_ids\":[50256],\"max_input_tokens\":4000}",
    ] {
        for request in with_fields(fields) {
            sent(&gateway, request).await;
        }
    }
}

#[tokio::test]
async fn only_service_tiers_that_both_lists_allow_are_asked_for() {
    let gateway = gateway(TIERS).await;
    for (request, expected) in [
        // Bedrock's default tier is not allowed here, so the request gets the target's preferred
        // tier.
        (ask("t"), json!({"type": "priority"})),
        (tier("t", ServiceTierType::Flex), json!({"type": "flex"})),
        (
            tier("open", ServiceTierType::Default),
            json!({"type": "default"}),
        ),
    ] {
        let body = sent(&gateway, request).await;
        assert_eq!(body["serviceTier"], expected);
    }
    assert!(
        sent(&gateway, ask("open"))
            .await
            .get("serviceTier")
            .is_none()
    );
    for request in [
        tier("t", ServiceTierType::Default),
        tier("t", ServiceTierType::Reserved),
        tier("open", ServiceTierType::Reserved),
    ] {
        refused(&gateway, request, "input.service_tier.type").await;
    }
    for (target, name) in [("t", "default"), ("t", "gold"), ("open", "reserved")] {
        let request = named_tier(target, name);
        refused(&gateway, request, "input.service_tier.type_name").await;
    }
    let body = sent(&gateway, named_tier("t", "flex")).await;
    assert_eq!(body["serviceTier"], json!({"type": "flex"}));
    for (pointer, json) in [
        ("/serviceTier", "{\"type\":\"reserved\"}"),
        ("/serviceTier/type", "\"reserved\""),
        ("/ServiceTier", "{\"type\":\"flex\"}"),
    ] {
        refused(
            &gateway,
            with_raw(&[(pointer, json)]),
            "input.raw_members[0].pointer",
        )
        .await;
    }
    for fields in [
        "{\"service_tier\":\"reserved\"}",
        "{\"serviceTier\":{\"type\":\"flex\"}}",
        "{\"amazon-bedrock-serviceTier\":\"reserved\"}",
    ] {
        let [text, structure] = with_fields(fields);
        refused(&gateway, text, "input.additional_model_request_fields_json").await;
        refused(
            &gateway,
            structure,
            "input.additional_model_request_fields_struct",
        )
        .await;
    }
}

/// A prompt of Prompt management has its own number of tokens, and Bedrock rejects any other. So
/// the ceiling is not written into such a request, and the caller still can't ask for more.
#[tokio::test]
async fn the_ceiling_is_not_written_into_requests_for_prompts() {
    const PROMPT: &str = "arn:aws:bedrock:us-east-1:123456789012:prompt/PROMPT1234:1";
    let gateway = gateway(&format!(
        "limits: {{max_tokens: 500}}\ntargets: {{t: {{model_id: '{PROMPT}', limits: {{max_tokens: 100}}}}}}"
    ))
    .await;
    for target in ["t", PROMPT] {
        let body = sent(&gateway, ask(target)).await;
        assert!(body.get("inferenceConfig").is_none(), "{target}: {body}");
    }
    refused(&gateway, tokens("t", Some(1)), "input.inference_config").await;
    let raw = with_raw(&[("/inferenceConfig/maxTokens", "1")]);
    refused(&gateway, raw, "input.raw_members[0].pointer").await;
    for request in with_fields("{\"max_tokens\":101}") {
        let answer = gateway.stream(request).await;
        assert_eq!(answer.details().reason(), "INVALID_REQUEST");
    }
    assert_eq!(gateway.emulator.calls().len(), 2);
}
