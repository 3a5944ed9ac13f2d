//! Invalid requests: rejected immediately, with all violations, and without a call to Bedrock.

use bedrock_grpc::pb::{
    ContentBlock, ConverseInput, ImageBlock, ImageFormat, InferenceConfiguration, InvokeRequest,
    MediaSource, Message, RawMember, Role, Tool, ToolChoice, ToolConfiguration, ToolInputSchema,
    ToolResultBlock, ToolResultContentBlock, ToolSpecification, ToolUseBlock,
    content_block::Content, converse_input::AdditionalModelRequestFields, media_source::Source,
    tool, tool_choice, tool_input_schema::Schema, tool_result_content_block, tool_use_block,
};
use tonic::Code;

use crate::harness::{Answer, Details, Gateway, MODEL, ask, question, text};

/// Makes a call with this input, and checks that Bedrock received nothing.
async fn refused(gateway: &Gateway, input: ConverseInput) -> Answer {
    let mut request = ask(MODEL);
    request.input = Some(input);
    let answer = gateway.stream(request).await;
    assert_eq!(answer.code(), Code::InvalidArgument, "{:?}", answer.end);
    assert!(answer.trailers_only);
    let details = answer.details();
    assert_eq!(details.reason(), "INVALID_REQUEST");
    assert_eq!(details.phase(), "connect");
    assert_eq!(details.pushback_ms, Some(-1));
    assert_eq!(details.upstream(), None);
    assert_eq!(gateway.emulator.calls(), []);
    answer
}

fn parameters(config: InferenceConfiguration) -> ConverseInput {
    ConverseInput {
        inference_config: Some(config),
        ..question("Hello")
    }
}

fn holding(content: Option<Content>) -> ConverseInput {
    let mut input = question("Hello");
    input.messages[0].content.push(ContentBlock { content });
    input
}

fn tool(schema: &str) -> ConverseInput {
    ConverseInput {
        tool_config: Some(ToolConfiguration {
            tools: vec![Tool {
                tool: Some(tool::Tool::ToolSpec(ToolSpecification {
                    name: "search".to_owned(),
                    input_schema: Some(ToolInputSchema {
                        schema: Some(Schema::Json(schema.to_owned())),
                    }),
                    ..ToolSpecification::default()
                })),
            }],
            tool_choice: None,
        }),
        ..question("Hello")
    }
}

#[tokio::test]
async fn all_violations_are_reported_at_once() {
    let gateway = Gateway::start().await;
    let mut input = parameters(InferenceConfiguration {
        max_tokens: Some(0),
        temperature: Some(-0.5),
        top_p: Some(f64::NAN),
        stop_sequences: vec!["ok".to_owned(), String::new()],
    });
    input.messages.push(Message {
        role: Role::Assistant.into(),
        content: vec![text("fine"), ContentBlock::default()],
    });
    let mut request = ask("no target: of ours");
    request.input = Some(input);
    request.heartbeat_interval = Some(prost_types::Duration {
        seconds: 0,
        nanos: 5,
    });
    let answer = gateway.stream(request).await;
    assert_eq!(answer.code(), Code::InvalidArgument);
    let mut fields = answer.details().fields();
    fields.sort();
    assert_eq!(
        fields,
        [
            "heartbeat_interval",
            "input.inference_config.max_tokens",
            "input.inference_config.stop_sequences[1]",
            "input.inference_config.temperature",
            "input.inference_config.top_p",
            "input.messages[1].content[1]",
            "target",
        ]
    );
    assert_eq!(gateway.emulator.calls(), []);
    let label = r#"bedrock_grpc_calls_total{method="StreamInvoke",target="",code="INVALID_ARGUMENT",reason="INVALID_REQUEST"}"#;
    assert_eq!(gateway.metric(label).await, 1.0);
}

#[tokio::test]
async fn numbers_outside_of_their_range_are_refused() {
    let gateway = Gateway::start().await;
    for (config, field) in [
        (
            InferenceConfiguration {
                max_tokens: Some(0),
                ..Default::default()
            },
            "max_tokens",
        ),
        (
            InferenceConfiguration {
                max_tokens: Some(-1),
                ..Default::default()
            },
            "max_tokens",
        ),
        (
            InferenceConfiguration {
                temperature: Some(f64::NAN),
                ..Default::default()
            },
            "temperature",
        ),
        (
            InferenceConfiguration {
                temperature: Some(-0.1),
                ..Default::default()
            },
            "temperature",
        ),
        (
            InferenceConfiguration {
                temperature: Some(1.1),
                ..Default::default()
            },
            "temperature",
        ),
        (
            InferenceConfiguration {
                top_p: Some(f64::INFINITY),
                ..Default::default()
            },
            "top_p",
        ),
        (
            InferenceConfiguration {
                stop_sequences: vec![String::new()],
                ..Default::default()
            },
            "stop_sequences[0]",
        ),
    ] {
        let answer = refused(&gateway, parameters(config)).await;
        assert_eq!(
            answer.details().fields(),
            [format!("input.inference_config.{field}")]
        );
    }
}

#[tokio::test]
async fn empty_oneofs_and_unknown_enums_are_refused() {
    let gateway = Gateway::start().await;
    let image = |format: i32, source| {
        Some(Content::Image(ImageBlock {
            format,
            source,
            ..ImageBlock::default()
        }))
    };
    let png: i32 = ImageFormat::Png.into();
    let bytes = |bytes: &'static [u8]| {
        Some(MediaSource {
            source: Some(Source::Bytes(bytes.into())),
        })
    };
    for (content, field) in [
        (None, ""),
        (image(png, None), ".image.source"),
        (image(png, Some(MediaSource::default())), ".image.source"),
        (image(99, bytes(b"x")), ".image.format"),
        (image(0, bytes(b"x")), ".image.format"),
    ] {
        let answer = refused(&gateway, holding(content.clone())).await;
        let expected = format!("input.messages[0].content[1]{field}");
        assert_eq!(answer.details().fields(), [expected], "{content:?}");
    }
    for role in [0, 99] {
        let mut input = question("Hello");
        input.messages[0].role = role;
        let answer = refused(&gateway, input).await;
        assert_eq!(
            answer.details().fields(),
            ["input.messages[0].role"],
            "{role}"
        );
    }
    let mut input = tool("{}");
    input.tool_config.as_mut().unwrap().tool_choice = Some(ToolChoice { choice: None });
    let answer = refused(&gateway, input).await;
    assert_eq!(answer.details().fields(), ["input.tool_config.tool_choice"]);
    let mut input = tool("{}");
    input.tool_config.as_mut().unwrap().tool_choice = Some(ToolChoice {
        choice: Some(tool_choice::Choice::Tool(
            bedrock_grpc::pb::SpecificToolChoice {
                name: "other".to_owned(),
            },
        )),
    });
    let answer = refused(&gateway, input).await;
    assert_eq!(
        answer.details().fields(),
        ["input.tool_config.tool_choice.tool.name"]
    );
}

#[tokio::test]
async fn json_that_is_wrong_or_nested_too_deep_is_refused() {
    let gateway = Gateway::start().await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let unclosed = r#"{"a":["#.repeat(10_000);
    for schema in [
        "",
        "{",
        "[]",
        "{\"a\":1,}",
        "nonsense",
        deep.as_str(),
        unclosed.as_str(),
    ] {
        let answer = refused(&gateway, tool(schema)).await;
        let field = "input.tool_config.tools[0].tool_spec.input_schema.json";
        assert_eq!(answer.details().fields(), [field], "{:.20}", schema);
    }
    let fields = |json: &str| {
        ConverseInput {
        additional_model_request_fields: Some(
            bedrock_grpc::pb::converse_input::AdditionalModelRequestFields::AdditionalModelRequestFieldsJson(json.to_owned()),
        ),
        ..question("Hello")
    }
    };
    for json in [deep.as_str(), "{"] {
        let answer = refused(&gateway, fields(json)).await;
        assert_eq!(
            answer.details().fields(),
            ["input.additional_model_request_fields_json"]
        );
    }
}

#[tokio::test]
async fn a_request_without_input_or_messages_is_refused() {
    let gateway = Gateway::start().await;
    let mut request = ask(MODEL);
    request.input = None;
    let answer = gateway.stream(request).await;
    assert_eq!(answer.details().fields(), ["input"]);
    let answer = refused(&gateway, ConverseInput::default()).await;
    assert_eq!(answer.details().fields(), ["input.messages"]);
}

#[tokio::test]
async fn targets_that_could_leave_the_fence_are_rejected() {
    let gateway = Gateway::start().await;
    for target in [
        "",
        "us.amazon/../../admin",
        "a.b?x=y",
        "a.b#c",
        "a.b/converse-stream",
        "a.b\r\nx-evil: 1",
        "arn:aws:s3:::bucket/key",
        "arn:aws:bedrock:us-east-1@evil.example:123456789012:inference-profile/us.x",
        "arn:aws:bedrock:evil.example/:123456789012:inference-profile/us.x",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/../x",
        &"x".repeat(2_049),
    ] {
        let answer = gateway.stream(ask(target)).await;
        assert_eq!(
            answer.code(),
            Code::InvalidArgument,
            "{target:.60}: {:?}",
            answer.end
        );
        assert_eq!(answer.details().fields(), ["target"], "{target:.60}");
    }
    assert_eq!(gateway.emulator.calls(), []);
}

#[tokio::test]
async fn only_targets_that_the_operator_allows_are_called() {
    let gateway = Gateway::with(|config, _| {
        config.targets.allowed_model_ids = vec!["us.amazon.*".to_owned()];
    })
    .await;
    for target in [
        MODEL,
        "us.anthropic.claude-sonnet-5",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
    ] {
        let answer = gateway.stream(ask(target)).await;
        assert_eq!(answer.code(), Code::PermissionDenied, "{target}");
        assert_eq!(answer.details().reason(), "TARGET_NOT_ALLOWED");
    }
    let unknown = gateway.stream(ask("nowa")).await;
    assert_eq!(unknown.code(), Code::NotFound);
    let details = unknown.details();
    assert_eq!(details.reason(), "TARGET_UNKNOWN");
    let resource = details.resource().unwrap();
    assert_eq!(resource.resource_name, "nowa");
    assert!(
        resource.description.contains("did you mean `nova`?"),
        "{resource:?}"
    );
    assert_eq!(gateway.emulator.calls(), []);
    // The alias leads to a model that callers may not name directly.
    gateway.stream(ask("nova")).await.is_whole();
}

#[tokio::test]
async fn invoke_is_refused_alike() {
    let gateway = Gateway::start().await;
    let request = InvokeRequest {
        target: String::new(),
        input: Some(parameters(InferenceConfiguration {
            max_tokens: Some(0),
            ..Default::default()
        })),
    };
    let status = gateway.inference().invoke(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let fields = Details::of(&status).fields();
    assert_eq!(fields, ["target", "input.inference_config.max_tokens"]);
    assert_eq!(gateway.emulator.calls(), []);
}

/// JSON that is passed through may contain values that are valid JSON, but that some parsers
/// reject. Answers may contain them, so the gateway accepts them as history, and Bedrock decides.
#[tokio::test]
async fn bedrock_decides_about_values_that_some_parsers_reject() {
    let gateway = Gateway::start().await;
    let mut calls = 0;
    for (json, is_read) in [
        (r#"{"a":1e400}"#, false),
        (r#"{"a":[-1e400]}"#, false),
        (r#"{"a":"\ud800"}"#, false),
        (r#"{"a":"\udc00\ud800"}"#, false),
        (r#"{"\ud800":1}"#, false),
        (r#"{"a":1e-400}"#, true),
        (r#"{"a":123456789012345678901234567890}"#, true),
        (r#"{"a":"\ud83d\ude00"}"#, true),
    ] {
        let used = Content::ToolUse(ToolUseBlock {
            tool_use_id: "one".to_owned(),
            name: "search".to_owned(),
            input: Some(tool_use_block::Input::InputJson(json.to_owned())),
            ..ToolUseBlock::default()
        });
        let result = Content::ToolResult(ToolResultBlock {
            tool_use_id: "one".to_owned(),
            content: vec![ToolResultContentBlock {
                content: Some(tool_result_content_block::Content::Text("found".to_owned())),
            }],
            ..ToolResultBlock::default()
        });
        let mut history = tool(r#"{"type":"object"}"#);
        for (role, content) in [(Role::Assistant, used), (Role::User, result)] {
            history.messages.push(Message {
                role: role.into(),
                content: vec![ContentBlock {
                    content: Some(content),
                }],
            });
        }
        let fields = ConverseInput {
            additional_model_request_fields: Some(
                AdditionalModelRequestFields::AdditionalModelRequestFieldsJson(json.to_owned()),
            ),
            ..question("Hello")
        };
        let raw = ConverseInput {
            raw_members: vec![RawMember {
                pointer: "/additionalModelRequestFields".to_owned(),
                json: json.to_owned(),
            }],
            ..question("Hello")
        };
        for input in [history, fields, raw] {
            let mut request = ask(MODEL);
            request.input = Some(input);
            let answer = gateway.stream(request).await;
            calls += 1;
            // Bedrock was called, once.
            assert_eq!(gateway.emulator.calls().len(), calls, "{json}");
            if is_read {
                assert_eq!(answer.code(), Code::Ok, "{json}: {:?}", answer.end);
            } else {
                assert_eq!(
                    answer.code(),
                    Code::InvalidArgument,
                    "{json}: {:?}",
                    answer.end
                );
                assert_eq!(answer.details().reason(), "UPSTREAM_VALIDATION");
            }
        }
    }
}
