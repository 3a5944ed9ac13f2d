//! A valid request that uses everything, and ways to its parts.

use bedrock_grpc::pb::{self, content_block::Content, media_source, tool_result_content_block};
use prost_types::{Duration, Struct, Value, value::Kind};

/// A field's path, words of the description, and a change that breaks one rule of [`full`].
pub(crate) type Case = (
    &'static str,
    &'static [&'static str],
    fn(&mut pb::StreamInvokeRequest),
);

/// A description, and a change of [`full`] that keeps it valid.
pub(crate) type Accepted = (&'static str, fn(&mut pb::StreamInvokeRequest));

pub(crate) const PROMPT: &str = "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:2";

pub(crate) fn duration(seconds: i64, nanos: i32) -> Option<Duration> {
    Some(Duration { seconds, nanos })
}

pub(crate) fn block(content: Content) -> pb::ContentBlock {
    pb::ContentBlock {
        content: Some(content),
    }
}

pub(crate) fn text(text: &str) -> pb::ContentBlock {
    block(Content::Text(text.into()))
}

pub(crate) fn bytes(length: usize) -> Option<pb::MediaSource> {
    Some(pb::MediaSource {
        source: Some(media_source::Source::Bytes(vec![7; length].into())),
    })
}

pub(crate) fn s3(uri: &str, owner: Option<&str>) -> pb::S3Location {
    pb::S3Location {
        uri: uri.into(),
        bucket_owner: owner.map(Into::into),
    }
}

fn from_s3() -> Option<pb::MediaSource> {
    Some(pb::MediaSource {
        source: Some(media_source::Source::S3Location(s3(
            "s3://bucket/a key",
            Some("123456789012"),
        ))),
    })
}

/// `{"k": kind}`.
pub(crate) fn structure(kind: Option<Kind>) -> Struct {
    Struct {
        fields: [("k".to_owned(), Value { kind })].into(),
    }
}

/// Nested objects.
pub(crate) fn deep_structure(levels: usize) -> Struct {
    (1..levels).fold(Struct::default(), |inner, _| {
        structure(Some(Kind::StructValue(inner)))
    })
}

fn new_image() -> pb::ImageBlock {
    pb::ImageBlock {
        format: pb::ImageFormat::Png.into(),
        source: bytes(4),
        ..Default::default()
    }
}

fn new_document() -> pb::DocumentBlock {
    pb::DocumentBlock {
        format: pb::DocumentFormat::Pdf.into(),
        name: "Report (2) [final]-a_b".into(),
        source: Some(pb::DocumentSource {
            source: Some(pb::document_source::Source::Bytes(vec![7].into())),
        }),
        context: Some("from the archive".into()),
        citations: Some(pb::CitationsConfig { enabled: true }),
        ..Default::default()
    }
}

fn new_video() -> pb::VideoBlock {
    pb::VideoBlock {
        format: pb::VideoFormat::ThreeGp.into(),
        format_name: "three_gp".into(),
        source: from_s3(),
    }
}

fn new_search_result() -> pb::SearchResultBlock {
    pb::SearchResultBlock {
        source: "https://example.com/".into(),
        title: "A title".into(),
        content: vec![pb::SearchResultContentBlock { text: "x".into() }],
        citations: None,
    }
}

fn new_guard(content: pb::guardrail_converse_content_block::Content) -> pb::ContentBlock {
    block(Content::GuardContent(pb::GuardrailConverseContentBlock {
        content: Some(content),
    }))
}

fn user() -> pb::Message {
    use pb::guardrail_converse_content_block::Content as Guard;
    let content = vec![
        text("Hello"),
        block(Content::Image(new_image())),
        block(Content::Document(new_document())),
        block(Content::Video(new_video())),
        block(Content::Audio(pb::AudioBlock {
            format: pb::AudioFormat::XAac.into(),
            format_name: "x-aac".into(),
            source: bytes(1),
            error: None,
        })),
        block(Content::SearchResult(new_search_result())),
        new_guard(Guard::Text(pb::GuardrailConverseTextBlock {
            text: "What?".into(),
            qualifiers: vec![pb::GuardrailConverseContentQualifier::Query.into()],
        })),
        new_guard(Guard::Image(pb::GuardrailConverseImageBlock {
            format: pb::ImageFormat::Jpeg.into(),
            source: bytes(1),
            ..Default::default()
        })),
        block(Content::CachePoint(pb::CachePointBlock {
            r#type: pb::CachePointType::Default.into(),
            ttl: pb::CacheTtl::CacheTtl1h.into(),
            ..Default::default()
        })),
    ];
    pb::Message {
        role: pb::Role::User.into(),
        content,
    }
}

fn assistant() -> pb::Message {
    let piece = || pb::CitationSourceContent {
        content: Some(pb::citation_source_content::Content::Text("x".into())),
    };
    let content = vec![
        block(Content::ReasoningContent(pb::ReasoningContentBlock {
            content: Some(pb::reasoning_content_block::Content::ReasoningText(
                pb::ReasoningTextBlock {
                    text: String::new(),
                    signature: Some("proof".into()),
                },
            )),
        })),
        text("Hi"),
        block(Content::CitationsContent(pb::CitationsContentBlock {
            content: vec![pb::CitationGeneratedContent {
                content: Some(pb::citation_generated_content::Content::Text("x".into())),
            }],
            citations: vec![pb::Citation {
                source_content: vec![piece()],
                location: Some(pb::CitationLocation {
                    location: Some(pb::citation_location::Location::DocumentChar(
                        pb::DocumentRange {
                            document_index: Some(0),
                            start: Some(0),
                            end: Some(58),
                        },
                    )),
                }),
                ..Default::default()
            }],
        })),
        block(Content::ToolUse(pb::ToolUseBlock {
            tool_use_id: "tooluse_1.a:b-c".into(),
            name: "add".into(),
            r#type: None,
            input: Some(pb::tool_use_block::Input::InputJson("{\"a\":1}".into())),
        })),
    ];
    pb::Message {
        role: pb::Role::Assistant.into(),
        content,
    }
}

fn results() -> pb::Message {
    use tool_result_content_block::Content as Part;
    let parts = [
        Part::Json("[1, {}]".into()),
        Part::JsonStruct(structure(Some(Kind::NumberValue(0.5)))),
        Part::Text(String::new()),
        Part::Image(new_image()),
        Part::Document(new_document()),
        Part::Video(new_video()),
        Part::SearchResult(new_search_result()),
    ];
    let result = pb::ToolResultBlock {
        tool_use_id: "tooluse_1.a:b-c".into(),
        content: parts
            .into_iter()
            .map(|part| pb::ToolResultContentBlock {
                content: Some(part),
            })
            .collect(),
        status: pb::ToolResultStatus::Success.into(),
        r#type: None,
    };
    pb::Message {
        role: pb::Role::User.into(),
        content: vec![block(Content::ToolResult(result))],
    }
}

fn changes() -> pb::Message {
    let tool = pb::ToolReference {
        name: Some("mul".into()),
        ..Default::default()
    };
    pb::Message {
        role: pb::Role::System.into(),
        content: vec![
            block(Content::ToolAddition(pb::ToolAdditionBlock {
                tool: Some(tool.clone()),
            })),
            block(Content::ToolRemoval(pb::ToolRemovalBlock {
                tool: Some(tool),
            })),
        ],
    }
}

fn tools() -> pb::ToolConfiguration {
    use pb::tool::Tool;
    let tools = [
        Tool::ToolSpec(pb::ToolSpecification {
            name: "add".into(),
            description: Some("Adds.".into()),
            input_schema: Some(pb::ToolInputSchema {
                schema: Some(pb::tool_input_schema::Schema::Json(
                    " {\"type\":\"object\"}".into(),
                )),
            }),
            strict: Some(true),
        }),
        Tool::SystemTool(pb::SystemTool {
            name: "nova_grounding".into(),
        }),
        Tool::CachePoint(pb::CachePointBlock::default()),
    ];
    pb::ToolConfiguration {
        tools: tools
            .into_iter()
            .map(|tool| pb::Tool { tool: Some(tool) })
            .collect(),
        tool_choice: Some(pb::ToolChoice {
            choice: Some(pb::tool_choice::Choice::Tool(pb::SpecificToolChoice {
                name: "add".into(),
            })),
        }),
    }
}

/// A valid request that uses everything.
pub(crate) fn full() -> pb::StreamInvokeRequest {
    use pb::{converse_input::AdditionalModelRequestFields, system_content_block};
    let input = pb::ConverseInput {
        messages: vec![user(), assistant(), results(), changes()],
        system: vec![
            pb::SystemContentBlock {
                content: Some(system_content_block::Content::Text("Be brief.".into())),
            },
            pb::SystemContentBlock {
                content: Some(system_content_block::Content::CachePoint(
                    pb::CachePointBlock::default(),
                )),
            },
        ],
        inference_config: Some(pb::InferenceConfiguration {
            max_tokens: Some(1),
            temperature: Some(0.0),
            top_p: Some(1.0),
            stop_sequences: vec!["|".into()],
        }),
        tool_config: Some(tools()),
        guardrail_config: Some(pb::GuardrailStreamConfiguration {
            guardrail_identifier: Some("5zwrmdlsra2e".into()),
            guardrail_version: Some("DRAFT".into()),
            trace: pb::GuardrailTrace::EnabledFull.into(),
            stream_processing_mode: pb::GuardrailStreamProcessingMode::Async.into(),
            ..Default::default()
        }),
        additional_model_request_fields: Some(
            AdditionalModelRequestFields::AdditionalModelRequestFieldsJson("{}".into()),
        ),
        prompt_variables: [(
            "name".to_owned(),
            pb::PromptVariableValues {
                value: Some(pb::prompt_variable_values::Value::Text(String::new())),
            },
        )]
        .into(),
        additional_model_response_field_paths: vec!["/stop_sequence".into()],
        request_metadata: [("team:a/b @$#=+,-.".to_owned(), String::new())].into(),
        performance_config: Some(pb::PerformanceConfiguration {
            latency: pb::PerformanceConfigLatency::Optimized.into(),
            ..Default::default()
        }),
        service_tier: Some(pb::ServiceTier {
            r#type: 0,
            type_name: "turbo".into(),
        }),
        output_config: Some(pb::OutputConfig {
            text_format: Some(pb::OutputFormat {
                r#type: 0,
                structure: Some(pb::OutputFormatStructure {
                    structure: Some(pb::output_format_structure::Structure::JsonSchema(
                        pb::JsonSchemaDefinition {
                            schema: "{}".into(),
                            ..Default::default()
                        },
                    )),
                }),
            }),
            effort: 0,
            effort_name: "none".into(),
        }),
        project_identifier: Some("arn:aws:bedrock:us-east-1:123456789012:project/a_B-9".into()),
        raw_members: vec![pb::RawMember {
            pointer: "/messages/0/content/-".into(),
            json: "{\"newBlock\":{}}".into(),
        }],
    };
    pb::StreamInvokeRequest {
        target: "us.amazon.nova-lite-v1:0".into(),
        input: Some(input),
        heartbeat_interval: duration(20, 0),
        coalesce: duration(0, 50_000_000),
    }
}

pub(crate) fn input(request: &mut pb::StreamInvokeRequest) -> &mut pb::ConverseInput {
    request.input.get_or_insert_default()
}

pub(crate) fn inference_config(input: &mut pb::ConverseInput) -> &mut pb::InferenceConfiguration {
    input.inference_config.get_or_insert_default()
}

pub(crate) fn tool_config(input: &mut pb::ConverseInput) -> &mut pb::ToolConfiguration {
    input.tool_config.get_or_insert_default()
}

/// Adds a copy of a block of one message to another message.
pub(crate) fn copy(r: &mut pb::StreamInvokeRequest, from: (usize, usize), to: usize) {
    let block = input(r).messages[from.0].content[from.1].clone();
    input(r).messages[to].content.push(block);
}

/// A function that leads to a block of [`full`].
macro_rules! way {
    ($name:ident: $block:ident in $message:literal $content:literal is $kind:ident) => {
        pub(crate) fn $name(input: &mut pb::ConverseInput) -> &mut pb::$block {
            match &mut input.messages[$message].content[$content].content {
                Some(Content::$kind(block)) => block,
                other => unreachable!("{other:?}"),
            }
        }
    };
}
way!(image: ImageBlock in 0 1 is Image);
way!(document: DocumentBlock in 0 2 is Document);
way!(video: VideoBlock in 0 3 is Video);
way!(audio: AudioBlock in 0 4 is Audio);
way!(search_result: SearchResultBlock in 0 5 is SearchResult);
way!(guard_content: GuardrailConverseContentBlock in 0 6 is GuardContent);
way!(guard_image_content: GuardrailConverseContentBlock in 0 7 is GuardContent);
way!(cache_point: CachePointBlock in 0 8 is CachePoint);
way!(reasoning: ReasoningContentBlock in 1 0 is ReasoningContent);
way!(citations: CitationsContentBlock in 1 2 is CitationsContent);
way!(tool_use: ToolUseBlock in 1 3 is ToolUse);
way!(tool_result: ToolResultBlock in 2 0 is ToolResult);
way!(tool_addition: ToolAdditionBlock in 3 0 is ToolAddition);
way!(tool_removal: ToolRemovalBlock in 3 1 is ToolRemoval);

pub(crate) fn guard_image(input: &mut pb::ConverseInput) -> &mut pb::GuardrailConverseImageBlock {
    match &mut guard_image_content(input).content {
        Some(pb::guardrail_converse_content_block::Content::Image(block)) => block,
        other => unreachable!("{other:?}"),
    }
}

pub(crate) fn guard_text(input: &mut pb::ConverseInput) -> &mut pb::GuardrailConverseTextBlock {
    match &mut guard_content(input).content {
        Some(pb::guardrail_converse_content_block::Content::Text(block)) => block,
        other => unreachable!("{other:?}"),
    }
}

pub(crate) fn tool_spec(input: &mut pb::ConverseInput) -> &mut pb::ToolSpecification {
    match &mut tool_config(input).tools[0].tool {
        Some(pb::tool::Tool::ToolSpec(spec)) => spec,
        other => unreachable!("{other:?}"),
    }
}

pub(crate) fn json_schema(input: &mut pb::ConverseInput) -> &mut pb::JsonSchemaDefinition {
    let format = input
        .output_config
        .get_or_insert_default()
        .text_format
        .get_or_insert_default();
    match &mut format.structure.get_or_insert_default().structure {
        Some(pb::output_format_structure::Structure::JsonSchema(definition)) => definition,
        other => unreachable!("{other:?}"),
    }
}
