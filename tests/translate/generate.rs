//! Arbitrary requests for property tests, in the normal form that reading returns: known formats
//! also by name, defaults explicit, JSON as text.

use bedrock_grpc::pb;
use proptest::{
    collection::{hash_map, vec},
    option,
    prelude::*,
    sample::select,
};

/// Text of any characters, escapes included.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just(String::new()),
        "[\\x00-\\x1f\"\\\\/]{0,8}"
    ]
}

/// A word that no enum has.
fn other_name() -> impl Strategy<Value = String> {
    "[a-z]{1,8}-new"
}

/// JSON text in unusual spellings.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?",
        Just("9223372036854775808".to_owned()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        select(vec!["true", "false", "null", "\"\\ud83d\""]).prop_map(str::to_owned),
    ];
    let tree = leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|list| format!("[ {} ]", list.join(" ,\n"))),
            vec((any::<String>(), inner), 0..4).prop_map(|members| {
                let members = members.into_iter().map(|(name, value)| {
                    format!("{} : {value}", serde_json::to_string(&name).unwrap())
                });
                format!("{{{}}}", members.collect::<Vec<_>>().join("\t, "))
            }),
        ]
    });
    // Null as a whole would mean absence.
    tree.prop_filter("null is absence", |text| text != "null")
}

fn bytes() -> impl Strategy<Value = prost::bytes::Bytes> {
    vec(any::<u8>(), 0..20).prop_map(Into::into)
}

fn media_source() -> impl Strategy<Value = pb::MediaSource> {
    use pb::media_source::Source;
    let source = prop_oneof![
        bytes().prop_map(Source::Bytes),
        (text(), option::of(text())).prop_map(|(uri, bucket_owner)| {
            Source::S3Location(pb::S3Location { uri, bucket_owner })
        }),
    ];
    source.prop_map(|source| pb::MediaSource {
        source: Some(source),
    })
}

fn image() -> impl Strategy<Value = pb::ImageBlock> {
    let format = select(vec![
        (1, "png"),
        (2, "jpeg"),
        (4, "webp"),
        (0, "avif"),
        (0, ""),
    ]);
    let error = option::of(option::of(text()).prop_map(|message| pb::ErrorBlock { message }));
    (format, option::of(media_source()), error).prop_map(|((format, name), source, error)| {
        pb::ImageBlock {
            format,
            format_name: name.to_owned(),
            source,
            error,
        }
    })
}

fn document() -> impl Strategy<Value = pb::DocumentBlock> {
    use pb::{document_content_block::Content, document_source::Source};
    let chunks = vec(text(), 0..3).prop_map(|texts| {
        let blocks = texts.into_iter().map(|text| pb::DocumentContentBlock {
            content: Some(Content::Text(text)),
        });
        Source::Content(pb::DocumentContent {
            blocks: blocks.collect(),
        })
    });
    let source = prop_oneof![
        bytes().prop_map(Source::Bytes),
        text().prop_map(Source::Text),
        chunks
    ];
    let citations = option::of(any::<bool>().prop_map(|enabled| pb::CitationsConfig { enabled }));
    (text(), option::of(source), option::of(text()), citations).prop_map(
        |(name, source, context, citations)| pb::DocumentBlock {
            format: pb::DocumentFormat::Pdf.into(),
            format_name: "pdf".to_owned(),
            name,
            source: Some(pb::DocumentSource { source }),
            context,
            citations,
        },
    )
}

fn tool_result() -> impl Strategy<Value = pb::ToolResultBlock> {
    use pb::tool_result_content_block::Content;
    let part = prop_oneof![
        text().prop_map(Content::Text),
        json_text().prop_map(Content::Json),
        image().prop_map(Content::Image),
        document().prop_map(Content::Document),
    ];
    let parts = vec(
        option::of(part).prop_map(|content| pb::ToolResultContentBlock { content }),
        0..3,
    );
    (text(), parts, 0..3, option::of(text())).prop_map(|(tool_use_id, content, status, r#type)| {
        pb::ToolResultBlock {
            tool_use_id,
            content,
            status,
            r#type,
        }
    })
}

fn content_block() -> impl Strategy<Value = pb::ContentBlock> {
    use pb::{content_block::Content, reasoning_content_block::Content as Reasoning};
    let tool_use = (text(), text(), option::of(json_text()), option::of(text())).prop_map(
        |(tool_use_id, name, json, r#type)| {
            Content::ToolUse(pb::ToolUseBlock {
                tool_use_id,
                name,
                input: json.map(pb::tool_use_block::Input::InputJson),
                r#type,
            })
        },
    );
    let reasoning = prop_oneof![
        (text(), option::of(text())).prop_map(|(text, signature)| {
            Reasoning::ReasoningText(pb::ReasoningTextBlock { text, signature })
        }),
        bytes().prop_map(Reasoning::RedactedContent),
    ];
    let reasoning = option::of(reasoning)
        .prop_map(|content| Content::ReasoningContent(pb::ReasoningContentBlock { content }));
    let cache_point = (0..3, other_name()).prop_map(|(ttl, other)| {
        Content::CachePoint(pb::CachePointBlock {
            r#type: 1,
            ttl,
            ttl_name: if ttl == 0 { other } else { String::new() },
            ..Default::default()
        })
    });
    let guard = (text(), vec(1..4, 0..4)).prop_map(|(text, qualifiers)| {
        use pb::guardrail_converse_content_block::Content as Guard;
        Content::GuardContent(pb::GuardrailConverseContentBlock {
            content: Some(Guard::Text(pb::GuardrailConverseTextBlock {
                text,
                qualifiers,
            })),
        })
    });
    let content = prop_oneof![
        text().prop_map(Content::Text),
        image().prop_map(Content::Image),
        document().prop_map(Content::Document),
        tool_use,
        tool_result().prop_map(Content::ToolResult),
        guard,
        cache_point,
        reasoning,
    ];
    option::of(content).prop_map(|content| pb::ContentBlock { content })
}

fn tool_config() -> impl Strategy<Value = pb::ToolConfiguration> {
    use pb::{tool::Tool, tool_choice::Choice, tool_input_schema::Schema};
    let spec = (
        text(),
        option::of(text()),
        option::of(json_text()),
        any::<Option<bool>>(),
    )
        .prop_map(|(name, description, schema, strict)| {
            Tool::ToolSpec(pb::ToolSpecification {
                name,
                description,
                input_schema: Some(pb::ToolInputSchema {
                    schema: schema.map(Schema::Json),
                }),
                strict,
            })
        });
    let system = text().prop_map(|name| Tool::SystemTool(pb::SystemTool { name }));
    let tool = option::of(prop_oneof![spec, system]).prop_map(|tool| pb::Tool { tool });
    let choice = prop_oneof![
        Just(Choice::Auto(pb::AutoToolChoice {})),
        Just(Choice::Any(pb::AnyToolChoice {})),
        text().prop_map(|name| Choice::Tool(pb::SpecificToolChoice { name })),
    ];
    let choice = option::of(choice).prop_map(|choice| pb::ToolChoice { choice });
    (vec(tool, 0..3), option::of(choice))
        .prop_map(|(tools, tool_choice)| pb::ToolConfiguration { tools, tool_choice })
}

fn inference_config() -> impl Strategy<Value = pb::InferenceConfiguration> {
    let finite = || option::of(any::<f64>().prop_filter("finite", |number| number.is_finite()));
    (any::<Option<i32>>(), finite(), finite(), vec(text(), 0..3)).prop_map(
        |(max_tokens, temperature, top_p, stop_sequences)| pb::InferenceConfiguration {
            max_tokens,
            temperature,
            top_p,
            stop_sequences,
        },
    )
}

/// Members without a field.
fn raw_members() -> impl Strategy<Value = Vec<pb::RawMember>> {
    hash_map("/new[a-z]{1,3}(~0|~1)?", json_text(), 0..3).prop_map(|members| {
        let members = members.into_iter();
        let members = members.map(|(pointer, json)| pb::RawMember { pointer, json });
        members.collect()
    })
}

/// A request in normal form.
pub(crate) fn converse_input() -> impl Strategy<Value = pb::ConverseInput> {
    use pb::converse_input::AdditionalModelRequestFields as Fields;
    let message = (0..4, vec(content_block(), 0..4))
        .prop_map(|(role, content)| pb::Message { role, content });
    let variable = text().prop_map(|text| pb::PromptVariableValues {
        value: Some(pb::prompt_variable_values::Value::Text(text)),
    });
    let system = text().prop_map(|text| pb::SystemContentBlock {
        content: Some(pb::system_content_block::Content::Text(text)),
    });
    (
        vec(message, 0..4),
        vec(system, 0..3),
        option::of(inference_config()),
        option::of(tool_config()),
        option::of(json_text()),
        hash_map(text(), variable, 0..3),
        hash_map(text(), text(), 0..3),
        option::of(
            (0..5, other_name()).prop_map(|(r#type, other)| pb::ServiceTier {
                r#type,
                type_name: if r#type == 0 { other } else { String::new() },
            }),
        ),
        option::of(text()),
        raw_members(),
    )
        .prop_map(
            |(
                messages,
                system,
                inference,
                tools,
                fields,
                variables,
                metadata,
                tier,
                project,
                raw,
            )| {
                pb::ConverseInput {
                    messages,
                    system,
                    inference_config: inference,
                    tool_config: tools,
                    additional_model_request_fields: fields
                        .map(Fields::AdditionalModelRequestFieldsJson),
                    prompt_variables: variables,
                    request_metadata: metadata,
                    service_tier: tier,
                    project_identifier: project,
                    raw_members: raw,
                    ..Default::default()
                }
            },
        )
}
