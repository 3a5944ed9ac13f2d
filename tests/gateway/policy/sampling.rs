//! With the defaults, no request becomes one that the model rejects.

use bedrock_grpc::pb::{InferenceConfiguration, StreamInvokeRequest};
use serde_json::{Value, json};

use super::{gateway, sent, with_fields, with_raw};
use crate::harness::ask;

/// A target for each kind of model, with the same defaults, and the defaults that each model gets.
const MODELS: [(&str, &str); 5] = [
    (
        "amazon.nova-lite-v1:0",
        r#"{"maxTokens":2000,"temperature":0.7,"topP":0.9}"#,
    ),
    (
        "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
        r#"{"maxTokens":2000,"temperature":0.7,"topP":0.9}"#,
    ),
    (
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        r#"{"maxTokens":2000,"temperature":0.7}"#,
    ),
    ("us.anthropic.claude-opus-4-8", r#"{"maxTokens":2000}"#),
    ("us.anthropic.claude-sonnet-5", r#"{"maxTokens":2000}"#),
];

fn config(model_id: &str) -> String {
    format!(
        "targets: {{t: {{model_id: '{model_id}', defaults: {{max_tokens: 2000, temperature: 0.7, top_p: 0.9}}}}}}"
    )
}

fn with(config: InferenceConfiguration) -> StreamInvokeRequest {
    let mut request = ask("t");
    request.input.get_or_insert_default().inference_config = Some(config);
    request
}

#[tokio::test]
async fn a_model_gets_the_sampling_parameters_that_it_accepts() {
    for (model_id, expected) in MODELS {
        let gateway = gateway(&config(model_id)).await;
        let body = sent(&gateway, ask("t")).await;
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(body["inferenceConfig"], expected, "{model_id}");
    }
}

/// All routes get the same body, so all of their models must accept it.
#[tokio::test]
async fn a_target_with_several_models_gets_what_all_of_them_accept() {
    let gateway = gateway(
        "
targets:
  t:
    routes:
      - {model_id: 'amazon.nova-lite-v1:0'}
      - {model_id: us.anthropic.claude-sonnet-4-5-20250929-v1:0}
    defaults: {temperature: 0.7, top_p: 0.9}
",
    )
    .await;
    let body = sent(&gateway, ask("t")).await;
    assert_eq!(body["inferenceConfig"], json!({"temperature": 0.7}));
}

#[tokio::test]
async fn one_that_the_caller_sets_leaves_the_other_alone() {
    let gateway = gateway(&config("us.anthropic.claude-sonnet-4-5-20250929-v1:0")).await;
    let top_p = InferenceConfiguration {
        top_p: Some(0.5),
        ..InferenceConfiguration::default()
    };
    let body = sent(&gateway, with(top_p)).await;
    assert_eq!(
        body["inferenceConfig"],
        json!({"maxTokens": 2000, "topP": 0.5})
    );
    let body = sent(&gateway, with_raw(&[("/inferenceConfig/topP", "0.5")])).await;
    assert_eq!(
        body["inferenceConfig"],
        json!({"maxTokens": 2000, "topP": 0.5})
    );
    for request in with_fields("{\"top_p\": 0.5}") {
        let body = sent(&gateway, request).await;
        assert_eq!(body["inferenceConfig"], json!({"maxTokens": 2000}));
    }
    for request in with_fields("{\"max_tokens\": 5}") {
        let body = sent(&gateway, request).await;
        assert_eq!(body["inferenceConfig"], json!({"temperature": 0.7}));
    }
}

#[tokio::test]
async fn thinking_goes_without_sampling_and_with_room_for_its_budget() {
    let gateway = gateway(&config("us.anthropic.claude-3-7-sonnet-20250219-v1:0")).await;
    for (budget, expected) in [(1024, json!({"maxTokens": 2000})), (2000, Value::Null)] {
        let thinking = format!("{{\"type\":\"enabled\",\"budget_tokens\":{budget}}}");
        let fields = format!("{{\"thinking\":{thinking}}}");
        let [text, structure] = with_fields(&fields);
        let raw = with_raw(&[("/additionalModelRequestFields", &fields)]);
        let below = with_raw(&[
            ("/additionalModelRequestFields", "{}"),
            ("/additionalModelRequestFields/thinking", &thinking),
        ]);
        for request in [text, structure, raw, below] {
            let body = sent(&gateway, request).await;
            assert_eq!(body["inferenceConfig"], expected, "{budget}");
        }
    }
}

/// Amazon's reasoning at its highest effort takes no number of tokens, either.
#[tokio::test]
async fn the_highest_effort_goes_without_any_of_them() {
    let gateway = gateway(&config("amazon.nova-lite-v1:0")).await;
    for (effort, expected) in [("low", json!({"maxTokens": 2000})), ("high", Value::Null)] {
        let fields = format!(
            "{{\"reasoningConfig\":{{\"type\":\"enabled\",\"maxReasoningEffort\":\"{effort}\"}}}}"
        );
        for request in with_fields(&fields) {
            let body = sent(&gateway, request).await;
            assert_eq!(body["inferenceConfig"], expected, "{effort}");
        }
    }
}
