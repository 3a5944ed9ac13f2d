//! `Invoke`: the events of a stream are combined into one answer.

use bedrock_grpc::{
    pb::{
        ContentBlock, ConverseInput, DocumentBlock, DocumentFormat, DocumentSource,
        GuardrailStreamConfiguration, GuardrailTrace, InvokeRequest, InvokeResponse, StopReason,
        content_block::Content, document_source, reasoning_content_block, tool_use_block::Input,
    },
    translate,
};
use serde_json::{Value, json};

use crate::harness::{Gateway, MODEL, ask, invoke, question};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// The answer to a Converse request in Bedrock's JSON.
async fn answer(gateway: &Gateway, target: &str, request: &Value) -> InvokeResponse {
    let request = InvokeRequest {
        target: target.to_owned(),
        input: Some(translate::request::from_converse(request.to_string().as_bytes()).unwrap()),
    };
    let answer = gateway.inference().invoke(request).await;
    answer.unwrap().into_inner()
}

fn says(words: &str) -> Value {
    json!([{"role": "user", "content": [{"text": words}]}])
}

fn contents(response: &InvokeResponse) -> Vec<&Content> {
    let blocks = &response.message.as_ref().unwrap().content;
    assert!(
        blocks.iter().all(|block| block.content.is_some()),
        "{blocks:?}"
    );
    blocks
        .iter()
        .filter_map(|block| block.content.as_ref())
        .collect()
}

#[tokio::test]
async fn the_whole_is_the_sum_of_the_stream() {
    let gateway = Gateway::start().await;
    let streamed = gateway.stream(ask("nova")).await;
    let response = gateway
        .inference()
        .invoke(invoke(ask("nova")))
        .await
        .unwrap();
    let told = response.metadata().get("x-request-id").unwrap().clone();
    let response = response.into_inner();
    let [Content::Text(text)] = contents(&response)[..] else {
        panic!("{response:?}");
    };
    assert_eq!(*text, streamed.text());
    assert_eq!(response.stop_reason(), StopReason::EndTurn);
    assert_eq!(response.stop_reason_name, "end_turn");
    let usage = response.metadata.unwrap().usage.unwrap();
    assert!(usage.input_tokens() > 0 && usage.output_tokens() > 0);
    assert_eq!(response.request_id, told.to_str().unwrap());
    let target = response.target.unwrap();
    assert_eq!(
        (target.name.as_str(), target.model_id.as_str()),
        ("nova", MODEL)
    );
    let calls = gateway.ended(2).await;
    assert_eq!(response.bedrock_request_id, calls[1].request_id);
    assert_eq!(calls[1].operation, "ConverseStream");
}

#[tokio::test]
async fn tool_calls_hold_the_input_as_the_model_wrote_it() {
    let gateway = Gateway::start().await;
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let response = answer(
        &gateway,
        MODEL,
        &json!({
            "messages": says("What is the weather in Paris?"),
            "toolConfig": {
                "tools": [{"toolSpec": {"name": "weather", "description": "The weather of a city", "inputSchema": {"json": schema}}}],
                "toolChoice": {"any": {}},
            },
        }),
    )
    .await;
    assert_eq!(response.stop_reason(), StopReason::ToolUse);
    let tools: Vec<_> = contents(&response)
        .into_iter()
        .filter_map(|content| match content {
            Content::ToolUse(tool) => Some(tool),
            _ => None,
        })
        .collect();
    let [tool] = tools.as_slice() else {
        panic!("{response:?}");
    };
    assert_eq!(tool.name, "weather");
    assert!(!tool.tool_use_id.is_empty());
    let Some(Input::InputJson(input)) = &tool.input else {
        panic!("{tool:?}");
    };
    let input: Value = serde_json::from_str(input).unwrap();
    assert!(input["city"].is_string(), "{input}");
}

#[tokio::test]
async fn reasoning_arrives_with_its_signature_before_the_answer() {
    let gateway = Gateway::start().await;
    let request = |words: &str| {
        json!({
            "messages": says(words),
            "inferenceConfig": {"maxTokens": 4000},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        })
    };
    let response = answer(&gateway, CLAUDE, &request("Why is the sky blue?")).await;
    let found = contents(&response);
    let [Content::ReasoningContent(reasoning), Content::Text(text)] = found.as_slice() else {
        panic!("{response:?}");
    };
    let Some(reasoning_content_block::Content::ReasoningText(reasoning)) = &reasoning.content
    else {
        panic!("{reasoning:?}");
    };
    assert!(!reasoning.text.is_empty() && !text.is_empty());
    assert!(
        reasoning
            .signature
            .as_ref()
            .is_some_and(|signature| !signature.is_empty())
    );

    let response = answer(&gateway, CLAUDE, &request("emulate:redacted_reasoning")).await;
    let redacted = contents(&response).into_iter().any(|content| {
        matches!(
            content,
            Content::ReasoningContent(block)
                if matches!(&block.content, Some(reasoning_content_block::Content::RedactedContent(bytes)) if !bytes.is_empty())
        )
    });
    assert!(redacted, "{response:?}");
}

#[tokio::test]
async fn the_guardrails_trace_is_returned() {
    let gateway = Gateway::start().await;
    let guarded = |words: &str| InvokeRequest {
        target: MODEL.to_owned(),
        input: Some(ConverseInput {
            guardrail_config: Some(GuardrailStreamConfiguration {
                guardrail_identifier: Some("abcdefghij12".to_owned()),
                guardrail_version: Some("1".to_owned()),
                trace: GuardrailTrace::Enabled.into(),
                ..GuardrailStreamConfiguration::default()
            }),
            ..question(words)
        }),
    };
    let mut client = gateway.inference();
    let response = client
        .invoke(guarded("Write to jane@example.com"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(response.stop_reason(), StopReason::GuardrailIntervened);
    let trace = response.metadata.unwrap().trace.unwrap().guardrail.unwrap();
    let assessments = &trace.output_assessments["abcdefghij12"].assessments;
    let policy = assessments[0]
        .sensitive_information_policy
        .as_ref()
        .unwrap();
    assert_eq!(policy.pii_entities[0].r#match(), "jane@example.com");
    assert_eq!(policy.pii_entities[0].r#type(), "EMAIL");
    assert!(trace.input_assessment.contains_key("abcdefghij12"));

    let response = client
        .invoke(guarded("emulate:guardrail_block"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(response.stop_reason(), StopReason::GuardrailIntervened);
    let trace = response.metadata.unwrap().trace.unwrap().guardrail.unwrap();
    let blocked = trace.input_assessment["abcdefghij12"]
        .word_policy
        .as_ref()
        .unwrap();
    assert_eq!(blocked.custom_words[0].action(), "BLOCKED");
}

#[tokio::test]
async fn citations_arrive_with_the_text_that_they_support() {
    let gateway = Gateway::start().await;
    let document = Content::Document(DocumentBlock {
        format: DocumentFormat::Txt.into(),
        name: "leave policy".to_owned(),
        source: Some(DocumentSource {
            source: Some(document_source::Source::Text(
                "Employees get 20 days of annual leave. Unused days expire in March.".to_owned(),
            )),
        }),
        citations: Some(bedrock_grpc::pb::CitationsConfig { enabled: true }),
        ..DocumentBlock::default()
    });
    let mut input = question("How many days of leave are there?");
    input.messages[0].content.push(ContentBlock {
        content: Some(document),
    });
    let request = InvokeRequest {
        target: CLAUDE.to_owned(),
        input: Some(input),
    };
    let response = gateway
        .inference()
        .invoke(request)
        .await
        .unwrap()
        .into_inner();
    let cited: Vec<_> = contents(&response)
        .into_iter()
        .filter_map(|content| match content {
            Content::CitationsContent(cited) => Some(cited),
            _ => None,
        })
        .collect();
    assert!(!cited.is_empty(), "{response:?}");
    for block in cited {
        assert!(!block.content.is_empty() && !block.citations.is_empty());
        assert!(
            block
                .citations
                .iter()
                .all(|citation| citation.location.is_some())
        );
    }
}

#[tokio::test]
async fn an_image_is_whole() {
    let gateway = Gateway::start().await;
    let response = answer(
        &gateway,
        MODEL,
        &json!({"messages": says("Draw. emulate:image")}),
    )
    .await;
    let image = contents(&response)
        .into_iter()
        .find_map(|content| match content {
            Content::Image(image) => Some(image),
            _ => None,
        });
    let image = image.unwrap();
    assert_eq!(image.format_name, "png");
    let Some(bedrock_grpc::pb::media_source::Source::Bytes(bytes)) =
        &image.source.as_ref().unwrap().source
    else {
        panic!("{image:?}");
    };
    assert!(bytes.starts_with(b"\x89PNG"), "{bytes:?}");
}

#[tokio::test]
async fn stop_reasons_are_no_errors() {
    let gateway = Gateway::start().await;
    for (name, reason) in [
        ("content_filtered", StopReason::ContentFiltered),
        ("malformed_model_output", StopReason::MalformedModelOutput),
        ("malformed_tool_use", StopReason::MalformedToolUse),
        (
            "model_context_window_exceeded",
            StopReason::ModelContextWindowExceeded,
        ),
    ] {
        let request = json!({"messages": says(&format!("emulate:{name}"))});
        let response = answer(&gateway, MODEL, &request).await;
        assert_eq!(response.stop_reason(), reason);
        assert_eq!(response.stop_reason_name, name);
    }
    let request =
        json!({"messages": says("Tell me a long story"), "inferenceConfig": {"maxTokens": 3}});
    let response = answer(&gateway, MODEL, &request).await;
    assert_eq!(response.stop_reason(), StopReason::MaxTokens);
}

#[tokio::test]
async fn the_operators_default_of_max_tokens_applies_if_the_caller_sets_none() {
    let gateway = Gateway::with(|config, _| {
        let nova = config.targets.aliases.get_mut("nova").unwrap();
        nova.defaults.max_tokens = Some(5);
    })
    .await;
    let mut request = invoke(ask("nova"));
    let mut client = gateway.inference();
    client.invoke(request.clone()).await.unwrap();
    let input = request.input.as_mut().unwrap();
    input.inference_config = Some(bedrock_grpc::pb::InferenceConfiguration {
        max_tokens: Some(7),
        ..Default::default()
    });
    client.invoke(request).await.unwrap();
    let sent: Vec<Value> = gateway
        .ended(2)
        .await
        .iter()
        .map(|call| {
            serde_json::from_slice::<Value>(&call.body).unwrap()["inferenceConfig"]["maxTokens"]
                .clone()
        })
        .collect();
    assert_eq!(sent, [json!(5), json!(7)]);
}
