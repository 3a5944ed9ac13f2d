//! What Bedrock does not bill by tokens: images, queries and the units of guardrails. Their prices,
//! reservations and settlements.

use bedrock_emulator::Condition;
use bedrock_grpc::pb::{
    ApplyGuardrailRequest, GuardrailContentSource, GuardrailConverseContentBlock,
    GuardrailConverseTextBlock, InvokeModelRequest, InvokeModelResponse,
    guardrail_converse_content_block::Content,
};
use serde_json::json;
use tonic::{Code, Response, Status, metadata::MetadataMap};

use crate::{
    harness::{Details, Gateway, keyed, soon, two_teams},
    models::{assert_refused, call, request},
};

const TEAM: &str = "{methods: [InvokeModel, ApplyGuardrail], limits: {usd_per_day: 0.5}}";
const IMAGES: &str = "
targets:
  image: {model_id: 'amazon.nova-canvas-v1:0', region: us-east-1, invoke_model: true}
limits: {store: memory}
prices:
  - models: ['*canvas*']
    input: 0
    output: 0
    per_image: 80000000
    image_tiers:
      - {max_side: 1024, quality: standard, per_image: 40000000}
      - {max_side: 1024, quality: premium, per_image: 60000000}
";
const RERANK: &str = "
targets:
  rank: {model_id: 'cohere.rerank-v3-5:0', invoke_model: true}
limits: {store: memory}
prices:
  - {models: ['*rerank*'], input: 0, output: 0, per_query: 2000000}
";
const GUARDRAILS: &str = "
guardrail_prices:
  topic: 150000
  content: 150000
  content_image: 750000
  sensitive_information: 100000
  contextual_grounding: 100000
  automated_reasoning: 170000
";

/// A body for images, with these members of its configuration.
pub(crate) fn lighthouse(config: &str) -> String {
    format!(
        r#"{{"taskType":"TEXT_IMAGE","textToImageParams":{{"text":"a lighthouse"}},"imageGenerationConfig":{{{config}}}}}"#
    )
}

/// A body that ranks this many documents of this length.
pub(crate) fn ranking(documents: usize, length: usize) -> String {
    json!({"query": "a lighthouse", "documents": vec!["x".repeat(length); documents]}).to_string()
}

/// What is left of the budget, in 1e-9 US dollars.
fn left(metadata: &MetadataMap) -> i64 {
    let left = metadata.get("x-ratelimit-remaining-nano-usd");
    let left = left.and_then(|left| left.to_str().ok()?.parse().ok());
    left.unwrap()
}

/// Calls a model. Returns what is left of the budget, and the answer.
async fn paid(
    gateway: &Gateway,
    request: tonic::Request<InvokeModelRequest>,
) -> (i64, InvokeModelResponse) {
    let answered = soon(gateway.models().invoke_model(request)).await;
    let answered: Response<InvokeModelResponse> = answered.unwrap();
    (left(answered.metadata()), answered.into_inner())
}

#[tokio::test]
async fn images_are_reserved_and_charged_by_number_size_and_quality() {
    let (gateway, a, _) = two_teams(IMAGES, TEAM).await;
    let ask = |config: &str| keyed(request("image", lighthouse(config)), &a);
    let mut budget = 500_000_000;
    for (config, images, cost) in [
        (
            r#""numberOfImages":2,"width":1024,"height":768"#,
            2,
            80_000_000,
        ),
        (
            r#""width":320,"height":1024,"quality":"premium""#,
            1,
            60_000_000,
        ),
        // Larger images and images of an unknown size cost `per_image`.
        (r#""width":2048,"height":320"#, 1, 80_000_000),
        // The model reads neither of these, and makes an image of its default size.
        (r#""Width":512,"Height":320"#, 1, 80_000_000),
    ] {
        let (left, answer) = paid(&gateway, ask(config)).await;
        budget -= cost;
        assert_eq!(left, budget, "{config}");
        assert_eq!(answer.estimated_cost.unwrap().nano_usd, cost, "{config}");
        let units = answer.billed_units.unwrap();
        assert_eq!(
            (units.images, units.input_images, units.queries),
            (images, 0, 0)
        );
        assert_eq!(answer.usage, None);
    }
    // 0.2 dollars are left, and three of these images could cost 0.24.
    let calls = gateway.emulator.calls().len();
    let failed = call(&gateway, ask(r#""numberOfImages":3"#)).await;
    let budget_is_used = (Code::ResourceExhausted, "CALLER_BUDGET_EXHAUSTED", "");
    assert_refused(failed, budget_is_used);
    assert_eq!(gateway.emulator.calls().len(), calls);
}

#[tokio::test]
async fn images_of_a_cancelled_call_are_charged_and_those_of_a_refused_call_are_not() {
    let (gateway, a, _) = two_teams(IMAGES, TEAM).await;
    let ask = |config: &str| keyed(request("image", lighthouse(config)), &a);
    // Bedrock refuses more than five images.
    let refused = call(&gateway, ask(r#""numberOfImages":6"#)).await;
    let refused = refused.unwrap_err();
    assert_eq!(Details::of(&refused).reason(), "UPSTREAM_VALIDATION");
    let stall = "stall-before-headers".parse().unwrap();
    gateway
        .emulator
        .set_region("us-east-1", Condition::Fault(stall));
    let mut models = gateway.models();
    tokio::select! {
        answered = models.invoke_model(ask(r#""numberOfImages":3"#)) => panic!("{answered:?}"),
        _ = soon(gateway.emulator.wait_for(|calls| calls.len() == 2)) => {}
    }
    gateway.ended(2).await;
    gateway.emulator.clear_region("us-east-1");
    let (left, _) = paid(&gateway, ask("")).await;
    assert_eq!(left, 500_000_000 - 3 * 80_000_000 - 80_000_000);
}

#[tokio::test]
async fn a_query_has_up_to_100_documents() {
    let (gateway, a, _) = two_teams(RERANK, TEAM).await;
    let ask = |body: String| keyed(request("rank", body), &a);
    let mut budget = 500_000_000;
    for (documents, length, queries) in [(3, 10, 1), (100, 10, 1), (101, 10, 2), (60, 600, 2)] {
        let (left, answer) = paid(&gateway, ask(ranking(documents, length))).await;
        let cost = queries * 2_000_000;
        budget -= cost;
        assert_eq!(left, budget, "{documents} {length}");
        assert_eq!(answer.estimated_cost.unwrap().nano_usd, cost);
        assert_eq!(answer.billed_units.unwrap().queries, queries);
    }
}

#[tokio::test]
async fn a_unit_without_a_price_is_refused_where_money_is_limited() {
    let config = "
targets:
  image: {model_id: 'amazon.nova-canvas-v1:0', invoke_model: true}
  rank: {model_id: 'cohere.rerank-v3-5:0', invoke_model: true}
  embed: {model_id: 'amazon.titan-embed-image-v1', invoke_model: true}
  nova: {model_id: 'amazon.nova-2-multimodal-embeddings-v1:0', invoke_model: true}
limits: {store: memory}
prices:
  - {models: ['*'], input: 1, output: 1}
";
    let (gateway, a, _) = two_teams(config, TEAM).await;
    let video = r#"{"singleEmbeddingParams":{"video":{"source":{"bytes":"a"}}}}"#;
    for (target, body, words) in [
        ("image", lighthouse(""), "`per_image` or `call`"),
        ("rank", ranking(1, 1), "`per_query` or `call`"),
        (
            "embed",
            r#"{"inputImage":"aGk="}"#.to_owned(),
            "`per_input_image` or `call`",
        ),
        ("nova", video.to_owned(), "the duration of audio and video"),
    ] {
        let failed = call(&gateway, keyed(request(target, body), &a)).await;
        assert_refused(failed, (Code::FailedPrecondition, "PRICE_UNKNOWN", words));
    }
    let failed = apply(&gateway, keyed(check("image", "Hello"), &a)).await;
    let failed = failed.unwrap_err();
    assert_eq!(failed.code(), Code::FailedPrecondition, "{failed:?}");
    assert!(
        failed.message().contains("`guardrail_prices`"),
        "{failed:?}"
    );
    assert!(gateway.emulator.calls().is_empty());
}

pub(crate) fn check(target: &str, text: &str) -> ApplyGuardrailRequest {
    ApplyGuardrailRequest {
        target: target.to_owned(),
        guardrail_identifier: Some("gr1".to_owned()),
        guardrail_version: Some("1".to_owned()),
        source: GuardrailContentSource::Input.into(),
        content: vec![GuardrailConverseContentBlock {
            content: Some(Content::Text(GuardrailConverseTextBlock {
                text: text.to_owned(),
                qualifiers: Vec::new(),
            })),
        }],
        ..ApplyGuardrailRequest::default()
    }
}

async fn apply(
    gateway: &Gateway,
    request: tonic::Request<ApplyGuardrailRequest>,
) -> Result<Response<bedrock_grpc::pb::ApplyGuardrailResponse>, Status> {
    soon(gateway.guardrails().apply_guardrail(request)).await
}

#[tokio::test]
async fn a_guardrail_is_charged_by_the_units_of_its_policies() {
    let config = format!("{IMAGES}{GUARDRAILS}");
    let (gateway, a, b) = two_teams(&config, TEAM).await;
    let answered = apply(&gateway, keyed(check("image", "Hello"), &a)).await;
    let answered = answered.unwrap();
    let left = left(answered.metadata());
    let answer = answered.into_inner();
    let usage = answer.usage.unwrap();
    let cost = 150_000 * i64::from(usage.topic_policy_units())
        + 150_000 * i64::from(usage.content_policy_units())
        + 750_000 * i64::from(usage.content_policy_image_units())
        + 100_000 * i64::from(usage.sensitive_information_policy_units())
        + 100_000 * i64::from(usage.contextual_grounding_policy_units());
    assert!(cost > 0, "{usage:?}");
    assert_eq!(answer.estimated_cost.unwrap().nano_usd, cost);
    assert_eq!(left, 500_000_000 - cost);
    // All policies of a text unit can cost 0.00084 dollars, so 600 units exceed the budget.
    let long = check("image", &"x".repeat(600_000));
    let failed = apply(&gateway, keyed(long, &a)).await.unwrap_err();
    let details = Details::of(&failed);
    assert_eq!(details.reason(), "CALLER_BUDGET_EXHAUSTED", "{failed:?}");
    assert_eq!(gateway.emulator.calls().len(), 1);
    // A caller without a limit on money sees the cost, too.
    let answered = apply(&gateway, keyed(check("image", "Hello"), &b)).await;
    let answered = answered.unwrap();
    assert!(answered.into_inner().estimated_cost.unwrap().nano_usd > 0);
}

/// A schema can have properties with the names of media, which cost only their bytes. A block of
/// media next to it counts.
#[tokio::test]
async fn a_property_of_a_tool_is_no_image() {
    let config = "
targets:
  nova: {model_id: 'amazon.nova-lite-v1:0', invoke_model: true}
limits: {store: memory}
estimates: {image: 200000}
";
    let team = "{methods: [InvokeModel], limits: {tokens_per_minute: 100000}}";
    let (gateway, a, _) = two_teams(config, team).await;
    let schema =
        r#"{"type":"object","properties":{"image":{"type":"string"},"file":{"type":"image"}}}"#;
    let tools = format!(
        r#""toolConfig":{{"tools":[{{"toolSpec":{{"name":"t","inputSchema":{{"json":{schema}}}}}}}]}}"#
    );
    let image = r#"{"image":{"format":"png","source":{"bytes":"aGk="}}}"#;
    let body = |blocks: &str, more: &str| {
        format!(
            r#"{{"messages":[{{"role":"user","content":[{{"text":"hi"}}{blocks}]}}],"inferenceConfig":{{"maxTokens":10}},{more}}}"#
        )
    };
    for (body, is_refused) in [
        (body("", &tools), false),
        (
            body(
                "",
                &format!(r#""output_config":{{"format":{{"schema":{schema}}}}}"#),
            ),
            false,
        ),
        (
            body(
                "",
                &format!(r#""response_format":{{"json_schema":{schema}}}"#),
            ),
            false,
        ),
        (body(&format!(",{image}"), &tools), true),
        // Only the member of the tools is left out.
        (body("", &format!(r#"{tools},"system":[{image}]"#)), true),
        (body("", &format!(r#""toolconfig":{image}"#)), true),
        (body("", &format!(r#""x":{{"tools":[{image}]}}"#)), true),
    ] {
        let answered = call(&gateway, keyed(request("nova", body.clone()), &a)).await;
        let code = answered.err().map(|status| status.code());
        let is_exhausted = code == Some(Code::ResourceExhausted);
        assert_eq!(is_exhausted, is_refused, "{body}: {code:?}");
    }
}

/// Media that a limit on tokens must cover although their bytes are elsewhere.
#[tokio::test]
async fn media_in_a_body_count_as_the_operator_estimates() {
    let config = "
targets:
  nova: {model_id: 'amazon.nova-lite-v1:0', invoke_model: true}
limits: {store: memory}
estimates: {video: 200000}
";
    let team = "{methods: [InvokeModel], limits: {tokens_per_minute: 100000}}";
    let (gateway, a, _) = two_teams(config, team).await;
    let body = |block: &str| {
        format!(
            r#"{{"messages":[{{"role":"user","content":[{{"text":"hi"}}{block}]}}],"inferenceConfig":{{"maxTokens":10}}}}"#
        )
    };
    let video = r#",{"video":{"format":"mp4","source":{"bytes":"aGk="}}}"#;
    let refused = call(&gateway, keyed(request("nova", body(video)), &a)).await;
    let refused = refused.expect_err("a refusal");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    let text = call(&gateway, keyed(request("nova", body("")), &a)).await;
    if let Err(status) = text {
        assert_ne!(status.code(), Code::ResourceExhausted, "{status:?}");
    }
}
