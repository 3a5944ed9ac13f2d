//! InvokeModel, as the AWS SDK and plain HTTP clients call it.

use aws_sdk_bedrockruntime::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
};
use bedrock_emulator::{DEV_BEARER_TOKEN, Emulator, Options, Quota, Quotas, Rate};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::support::{client, http1, start};

const TITAN: &str = "amazon.titan-embed-text-v2:0";
const CLAUDE: &str = "us.anthropic.claude-sonnet-5";

/// Calls a model. Returns the code and the message of an error.
async fn invoke(
    emulator: &Emulator,
    model_id: &str,
    body: Value,
    guardrail: Option<&str>,
) -> Result<Value, (String, String)> {
    let call = client(emulator)
        .invoke_model()
        .model_id(model_id)
        .content_type("application/json")
        .set_guardrail_identifier(guardrail.map(str::to_owned))
        .set_guardrail_version(guardrail.map(|_| "1".to_owned()))
        .body(Blob::new(body.to_string()));
    let answered = call.send().await.map_err(|error| {
        let error = SdkError::into_service_error(error);
        let part = |part: Option<&str>| part.unwrap_or_default().to_owned();
        (part(error.code()), part(error.message()))
    })?;
    Ok(serde_json::from_slice(answered.body().as_ref()).expect("JSON"))
}

fn vector(answer: &Value) -> Vec<f64> {
    let values = answer["embedding"].as_array().expect("a vector").iter();
    values
        .map(|value| value.as_f64().expect("a number"))
        .collect()
}

#[tokio::test]
async fn titan_embeds_near_texts_near_each_other() {
    let emulator = start(Options::default());
    let embed = async |text: &str, dimensions: usize| {
        let body = json!({"inputText": text, "dimensions": dimensions});
        let answer = invoke(&emulator, TITAN, body, None)
            .await
            .expect("a vector");
        assert_eq!(answer["inputTextTokenCount"], text.len().div_ceil(4));
        vector(&answer)
    };
    let product =
        |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
    for dimensions in [256, 512, 1024] {
        let question = embed("How do I reset my password?", dimensions).await;
        let near = embed("Reset a forgotten password", dimensions).await;
        let far = embed("Opening hours of the canteen", dimensions).await;
        assert_eq!(question.len(), dimensions);
        assert!((product(&question, &question) - 1.0).abs() < 1e-9);
        assert!(product(&question, &near) > product(&question, &far) + 0.2);
    }
    assert_eq!(embed("same", 256).await, embed("same", 256).await);
    let binary = json!({"inputText": "x", "dimensions": 256, "embeddingTypes": ["binary"]});
    let binary = invoke(&emulator, TITAN, binary, None).await.expect("bits");
    assert!(binary.get("embedding").is_none());
    assert_eq!(
        binary["embeddingsByType"]["binary"]
            .as_array()
            .map(Vec::len),
        Some(256)
    );
    let call = emulator.calls().remove(0);
    assert_eq!((call.operation, &*call.model_id), ("InvokeModel", TITAN));
}

#[tokio::test]
async fn canvas_makes_images_and_rerank_sorts_documents() {
    let emulator = start(Options::default());
    let body = json!({
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "a lighthouse"},
        "imageGenerationConfig": {"numberOfImages": 2, "width": 320, "height": 320},
    });
    let canvas = "amazon.nova-canvas-v1:0";
    let answer = invoke(&emulator, canvas, body.clone(), None).await;
    let answer = answer.expect("images");
    assert_eq!(answer["images"].as_array().map(Vec::len), Some(2));
    assert_eq!(invoke(&emulator, canvas, body, None).await, Ok(answer));
    let body = json!({
        "api_version": 2,
        "query": "How do I reset my password?",
        "documents": ["Opening hours of the canteen", "Resetting a forgotten password"],
    });
    let ranked = invoke(&emulator, "cohere.rerank-v3-5:0", body, None).await;
    let ranked = ranked.expect("a ranking");
    assert_eq!(ranked["results"][0]["index"], 1, "{ranked}");
    // Converse serves neither of them.
    let converse = client(&emulator)
        .converse()
        .model_id(canvas)
        .messages(
            aws_sdk_bedrockruntime::types::Message::builder()
                .role(aws_sdk_bedrockruntime::types::ConversationRole::User)
                .content(aws_sdk_bedrockruntime::types::ContentBlock::Text(
                    "Hi".to_owned(),
                ))
                .build()
                .expect("a message"),
        )
        .send()
        .await;
    let refused = converse.expect_err("a refusal").into_service_error();
    assert_eq!(refused.code(), Some("ValidationException"));
}

#[tokio::test]
async fn claude_answers_the_messages_format() {
    let emulator = start(Options::default());
    let body = |text: &str| {
        json!({
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 100,
            "system": "Be brief.",
            "messages": [{"role": "user", "content": text}],
        })
    };
    let answer = invoke(&emulator, CLAUDE, body("Say hello"), None).await;
    let answer = answer.expect("an answer");
    assert_eq!(
        (&answer["type"], &answer["role"]),
        (&json!("message"), &json!("assistant"))
    );
    assert_eq!(answer["content"][0]["type"], "text");
    assert!(answer["usage"]["input_tokens"].as_u64() > Some(3));
    let blocked = invoke(
        &emulator,
        CLAUDE,
        body("emulate:guardrail_block"),
        Some("gr1"),
    )
    .await;
    let blocked = blocked.expect("an answer");
    assert_eq!(blocked["amazon-bedrock-guardrailAction"], "INTERVENED");
    let mut with_tool = body("What is the weather in Paris?");
    with_tool["tools"] = json!([{"name": "weather", "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    }}]);
    with_tool["tool_choice"] = json!({"type": "any"});
    let answer = invoke(&emulator, CLAUDE, with_tool, None)
        .await
        .expect("a tool use");
    assert_eq!(answer["stop_reason"], "tool_use");
    let content = answer["content"].as_array().expect("blocks");
    let tool = content.iter().find(|block| block["type"] == "tool_use");
    assert_eq!(tool.expect("a tool use")["name"], "weather");
}

#[tokio::test]
async fn the_numbers_of_tokens_are_in_headers() {
    let emulator = start(Options::default());
    let request = Request::post(format!("{}/model/{TITAN}/invoke", emulator.endpoint_url()))
        .header("host", "localhost")
        .header("authorization", format!("Bearer {DEV_BEARER_TOKEN}"))
        .body(Full::new(Bytes::from(r#"{"inputText":"twelve chars"}"#)))
        .expect("a request");
    let response = http1(&emulator, request).await;
    let header = |name: &str| response.headers().get(name).and_then(|it| it.to_str().ok());
    assert_eq!(header("x-amzn-bedrock-input-token-count"), Some("3"));
    assert_eq!(header("x-amzn-bedrock-output-token-count"), Some("0"));
    assert_eq!(header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn faults_quotas_and_invalid_bodies_are_refused() {
    let rate = Rate {
        requests_per_minute: Some(1),
        tokens_per_minute: None,
    };
    let emulator = start(Options {
        quotas: Quotas::everywhere(Quota::rate(rate)),
        ..Options::default()
    });
    let text = || json!({"inputText": "x"});
    assert!(invoke(&emulator, TITAN, text(), None).await.is_ok());
    let messages = |members: Value| {
        let mut body = json!({
            "anthropic_version": "bedrock-2023-05-31",
            "messages": [{"role": "user", "content": "Hi"}],
        });
        for (name, value) in members.as_object().expect("members") {
            body[name] = value.clone();
        }
        body
    };
    for (model_id, body, code, words) in [
        (TITAN, text(), "ThrottlingException", "Too many requests"),
        (
            TITAN,
            json!({"text": "x"}),
            "ValidationException",
            "extraneous key [text]",
        ),
        (
            TITAN,
            json!({}),
            "ValidationException",
            "required key [inputText]",
        ),
        (
            TITAN,
            json!({"inputText": "x", "dimensions": 300}),
            "ValidationException",
            "dimensions",
        ),
        (
            CLAUDE,
            messages(json!({})),
            "ValidationException",
            "max_tokens: Field required",
        ),
        (
            CLAUDE,
            messages(json!({"max_tokens": 0})),
            "ValidationException",
            "max_tokens",
        ),
        (
            "amazon.nova-lite-v1:0",
            json!({}),
            "ValidationException",
            "serves InvokeModel only",
        ),
        (
            "amazon.titan-embed-text-v2:0.fault-access-denied",
            text(),
            "AccessDeniedException",
            "",
        ),
        (
            "amazon.titan-embed-text-v2:0.fault-internal",
            text(),
            "InternalServerException",
            "",
        ),
    ] {
        let (refused, message) = invoke(&emulator, model_id, body, None)
            .await
            .expect_err("a refusal");
        assert_eq!(refused, code, "{message}");
        assert!(message.contains(words), "{message}");
    }
    let answer = client(&emulator)
        .converse()
        .model_id(TITAN)
        .messages(crate::support::user("Hi"))
        .send()
        .await;
    let error = SdkError::into_service_error(answer.expect_err("a refusal"));
    assert!(error.is_validation_exception(), "{error}");
}
