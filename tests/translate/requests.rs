//! Requests: every kind of content, exact bytes, and useful errors.

use std::collections::BTreeMap;

use bedrock_grpc::{
    pb::{self, content_block::Content, tool_result_content_block::Content as Part},
    translate::request,
};
use prost_types::{Struct, Value, value::Kind};

use crate::values::value;

/// Every member that a request can have, in the order in which they are sent.
const EVERYTHING: &str = concat!(
    r#"{"toolConfig":{"tools":[{"toolSpec":{"name":"t","description":"d","inputSchema":{"json":{"type": "object","z":1.0,"a":12345678901234567890123}},"strict":true}},"#,
    r#"{"systemTool":{"name":"nova_grounding"}},{"cachePoint":{"type":"default","ttl":"1h"}}],"toolChoice":{"tool":{"name":"t"}}},"#,
    r#""system":[{"text":"Be brief"},{"guardContent":{"text":{"text":"g"}}},{"cachePoint":{"type":"default"}}],"#,
    r#""messages":[{"role":"user","content":[{"text":"\"\\\n\u0001é"},"#,
    r#"{"image":{"format":"png","source":{"bytes":"iVBORw=="}}},{"image":{"format":"avif","source":{"s3Location":{"uri":"s3://b/k","bucketOwner":"1"}},"error":{"message":"m"}}},"#,
    r#"{"document":{"format":"pdf","name":"n","source":{"bytes":"JVBERg=="},"context":"c","citations":{"enabled":true}}},"#,
    r#"{"document":{"name":"n","source":{"content":[{"text":"a"},{"text":"b"}]}}},{"document":{"name":"n","source":{"text":"t"}}},"#,
    r#"{"video":{"format":"three_gp","source":{"bytes":"AA=="}}},{"audio":{"format":"x-aac","source":{"bytes":"AA=="},"error":{}}},"#,
    r#"{"toolResult":{"toolUseId":"i","content":[{"json":[1, 2]},{"text":""},{"searchResult":{"source":"s","title":"","content":[{"text":"t"}],"citations":{"enabled":false}}}],"status":"error","type":"x"}},"#,
    r#"{"guardContent":{"text":{"text":"g","qualifiers":["grounding_source","query","guard_content"]}}},{"guardContent":{"image":{"format":"jpeg","source":{"bytes":"AA=="}}}}]},"#,
    r#"{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"","signature":"s"}}},{"reasoningContent":{"redactedContent":"AAEC"}},"#,
    r#"{"citationsContent":{"content":[{"text":"t"}],"citations":[{"title":"t","source":"s","sourceContent":[{"text":"x"}],"location":{"web":{"url":"u","domain":"d"}}},"#,
    r#"{"location":{"documentPage":{"documentIndex":0,"start":1,"end":2}}},{"location":{"searchResultLocation":{"searchResultIndex":0,"start":0,"end":1}}}]}},"#,
    r#"{"toolUse":{"toolUseId":"i","name":"t","input":{"b": 1,"a": 9223372036854775808},"type":"server_tool_use"}}]},"#,
    r#"{"role":"system","content":[{"toolAddition":{"tool":{"type":"t","name":"n","serverName":"s"}}},{"toolRemoval":{"tool":{"name":"n"}}}]}],"#,
    r#""inferenceConfig":{"maxTokens":1,"temperature":0.7,"topP":1,"stopSequences":["a"]},"#,
    r#""guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"DRAFT","trace":"enabled_full","streamProcessingMode":"async"},"#,
    r#""additionalModelRequestFields":{"thinking":{"type":"adaptive"},"k":0.70},"#,
    r#""promptVariables":{"a":{"text":"1"},"b":{"text":"2"},"c":{"text":"3"}},"#,
    r#""additionalModelResponseFieldPaths":["/stop_sequence"],"requestMetadata":{"a":"","team":"x"},"#,
    r#""performanceConfig":{"latency":"optimized"},"serviceTier":{"type":"flex"},"#,
    r#""outputConfig":{"textFormat":{"type":"json_schema","structure":{"jsonSchema":{"schema":"{}","name":"n","description":"d"}}},"effort":"xhigh"},"projectIdentifier":"arn:aws:bedrock:us-east-1:123456789012:project/a_B-9"}"#,
);

fn bytes(input: &pb::ConverseInput) -> String {
    String::from_utf8(request::to_converse(input).unwrap().to_vec()).unwrap()
}

fn error(body: &str) -> String {
    request::from_converse(body.as_bytes())
        .unwrap_err()
        .to_string()
}

fn with_content(content: Content) -> pb::ConverseInput {
    pb::ConverseInput {
        messages: vec![pb::Message {
            role: pb::Role::User.into(),
            content: vec![pb::ContentBlock {
                content: Some(content),
            }],
        }],
        ..Default::default()
    }
}

#[test]
fn everything_that_a_request_can_say_has_a_field() {
    let input = request::from_converse(EVERYTHING.as_bytes()).unwrap();
    assert_eq!(input.raw_members, []);
    assert_eq!(bytes(&input), EVERYTHING);
}

#[test]
fn an_empty_input_is_an_empty_object() {
    assert_eq!(bytes(&pb::ConverseInput::default()), "{}");
}

#[test]
fn what_the_proto_cannot_tell_from_absence_is_kept() {
    let body = r#"{"system":[],"messages":[],"inferenceConfig":{"stopSequences":[]},"requestMetadata":{},"promptVariables":{},"unknown":{"a":[1,2]}}"#;
    let input = request::from_converse(body.as_bytes()).unwrap();
    assert_eq!(input.raw_members.len(), 6);
    assert_eq!(value(bytes(&input)), value(body));

    let body = r#"{"messages":[{"role":"user","content":[{"image":{"format":""}}]}]}"#;
    let input = request::from_converse(body.as_bytes()).unwrap();
    assert_eq!(value(bytes(&input)), value(body));
}

#[test]
fn unknown_words_and_kinds_are_kept() {
    let body = concat!(
        r#"{"messages":[{"role":"critic","content":[{"hologram":{"w":1}},{"text":"a","also":1},"#,
        r#"{"guardContent":{"text":{"text":"g","qualifiers":["query","tone","query"]}}}]}]}"#
    );
    let input = request::from_converse(body.as_bytes()).unwrap();
    let pointers: Vec<_> = input
        .raw_members
        .iter()
        .map(|member| &*member.pointer)
        .collect();
    assert_eq!(
        pointers,
        [
            "/messages/0/role",
            "/messages/0/content/0/hologram",
            "/messages/0/content/1/also",
            "/messages/0/content/2/guardContent/text/qualifiers/1",
            "/messages/0/content/2/guardContent/text/qualifiers/2",
        ]
    );
    assert_eq!(value(bytes(&input)), value(body));
}

#[test]
fn words_of_enums_that_can_grow_have_a_field_for_their_name() {
    let body = concat!(
        r#"{"system":[{"cachePoint":{"type":"shared","ttl":"2h"}}],"#,
        r#""guardrailConfig":{"trace":"brief","streamProcessingMode":"lazy"},"#,
        r#""performanceConfig":{"latency":"low"},"serviceTier":{"type":"gold"},"outputConfig":{"effort":"none"}}"#
    );
    let input = request::from_converse(body.as_bytes()).unwrap();
    assert_eq!(input.raw_members, []);
    assert_eq!(bytes(&input), body);
    let tier = input.service_tier.clone().unwrap();
    assert_eq!((tier.r#type, &*tier.type_name), (0, "gold"));

    // A word that the enum has is in the enum only.
    let input = request::from_converse(br#"{"serviceTier":{"type":"flex"}}"#).unwrap();
    let tier = input.service_tier.unwrap();
    assert_eq!(
        (tier.r#type(), &*tier.type_name),
        (pb::ServiceTierType::Flex, "")
    );

    let both = pb::ConverseInput {
        service_tier: Some(pb::ServiceTier {
            r#type: pb::ServiceTierType::Flex.into(),
            type_name: "gold".into(),
        }),
        ..Default::default()
    };
    let violations = request::to_converse(&both).unwrap_err();
    assert_eq!(violations.len(), 1, "{violations:?}");
}

#[test]
fn null_is_absence() {
    let body = r#"{"messages":[{"role":"user","content":[{"text":"a","image":null}]}],"system":null,"new":null}"#;
    let input = request::from_converse(body.as_bytes()).unwrap();
    assert_eq!(
        bytes(&input),
        r#"{"messages":[{"role":"user","content":[{"text":"a"}]}]}"#
    );
}

#[test]
fn structs_are_sent_with_sorted_keys_and_whole_numbers() {
    let number = |value| Value {
        kind: Some(Kind::NumberValue(value)),
    };
    let fields = BTreeMap::from([
        ("z".to_owned(), number(10.0)),
        ("a".to_owned(), number(0.1)),
        ("m".to_owned(), number(9_007_199_254_740_992.0)),
        (
            "n".to_owned(),
            Value {
                kind: Some(Kind::NullValue(0)),
            },
        ),
    ]);
    let input = with_content(Content::ToolResult(pb::ToolResultBlock {
        tool_use_id: "i".into(),
        content: vec![pb::ToolResultContentBlock {
            content: Some(Part::JsonStruct(Struct {
                fields: fields.into_iter().collect(),
            })),
        }],
        ..Default::default()
    }));
    assert!(bytes(&input).contains(r#"{"json":{"a":0.1,"m":9007199254740992,"n":null,"z":10}}"#));
}

#[test]
fn what_json_cannot_say_is_refused_with_the_fields_path() {
    let field = |input: &pb::ConverseInput| {
        let violations = request::to_converse(input).unwrap_err();
        assert_eq!(violations.len(), 1, "{violations:?}");
        violations.into_iter().next().unwrap().field
    };

    let mut input = pb::ConverseInput {
        inference_config: Some(pb::InferenceConfiguration {
            top_p: Some(f64::NAN),
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_eq!(field(&input), "input.inference_config.top_p");

    let nan = Value {
        kind: Some(Kind::NumberValue(f64::NEG_INFINITY)),
    };
    input = pb::ConverseInput {
        additional_model_request_fields: Some(
            pb::converse_input::AdditionalModelRequestFields::AdditionalModelRequestFieldsStruct(
                Struct {
                    fields: [("a".to_owned(), nan)].into_iter().collect(),
                },
            ),
        ),
        ..Default::default()
    };
    assert_eq!(
        field(&input),
        "input.additional_model_request_fields_struct"
    );

    let tool_use = |json: &str| {
        with_content(Content::ToolUse(pb::ToolUseBlock {
            input: Some(pb::tool_use_block::Input::InputJson(json.to_owned())),
            ..Default::default()
        }))
    };
    for json in [
        "",
        "{",
        "1}, \"evil\": {",
        "{} {}",
        "\"\u{1}\"",
        &"[".repeat(1_000_000),
    ] {
        assert_eq!(
            field(&tool_use(json)),
            "input.messages[0].content[0].tool_use.input_json"
        );
    }

    let image = |format, name: &str| {
        with_content(Content::Image(pb::ImageBlock {
            format,
            format_name: name.to_owned(),
            ..Default::default()
        }))
    };
    assert_eq!(
        field(&image(99, "")),
        "input.messages[0].content[0].image.format"
    );
    assert_eq!(
        field(&image(1, "jpeg")),
        "input.messages[0].content[0].image.format"
    );
    assert!(bytes(&image(99, "avif")).contains(r#""format":"avif""#));

    let mut role = with_content(Content::Text("a".into()));
    role.messages[0].role = 77;
    assert_eq!(field(&role), "input.messages[0].role");
}

#[test]
fn all_violations_are_reported_at_once() {
    let mut input = with_content(Content::ToolUse(pb::ToolUseBlock {
        input: Some(pb::tool_use_block::Input::InputJson("{".into())),
        ..Default::default()
    }));
    input.messages[0].role = 77;
    input.raw_members.push(pb::RawMember::default());
    assert_eq!(request::to_converse(&input).unwrap_err().len(), 3);
}

#[test]
fn errors_name_the_place_what_was_found_and_what_is_right() {
    let content =
        |block: &str| format!(r#"{{"messages":[{{"role":"user","content":[{block}]}}]}}"#);
    for (body, expected) in [
        (
            content(r#"{"image":{"format":"png","source":{"bytes":"*"}}}"#),
            "messages[0].content[0].image.source.bytes: not base64 of the standard alphabet with padding",
        ),
        (
            content(r#"{"image":{"format":5}}"#),
            "messages[0].content[0].image.format: expected a string, found a number",
        ),
        (
            content("null"),
            "messages[0].content[0]: expected an object, found null",
        ),
        (
            content(r#"{"toolUse":{"name":"n","input":{}}}"#),
            "messages[0].content[0].toolUse.toolUseId: is missing, but it is required",
        ),
        (
            r#"{"inferenceConfig":{"maxTokens":1.5}}"#.into(),
            "inferenceConfig.maxTokens: expected a whole number from -2147483648 to 2147483647, found 1.5",
        ),
        (
            r#"{"inferenceConfig":{"topP":1e999}}"#.into(),
            "inferenceConfig.topP: expected a number within the range of 64-bit floats, found 1e999",
        ),
        (
            r#"{"system":[],"system":[]}"#.into(),
            "system: appears twice; remove one",
        ),
        (
            r#"{"new":1,"new":2}"#.into(),
            "/new appears twice; remove one",
        ),
        ("[]".into(), "expected an object, found an array"),
        (
            "{} x".into(),
            "not valid JSON at byte 3: unexpected trailing characters",
        ),
        (
            r#"{"system":[1,]}"#.into(),
            "system[0]: expected an object, found a number",
        ),
    ] {
        let error = error(&body);
        assert!(error.starts_with(expected), "{error}");
    }
    let not_utf8 = request::from_converse(b"{\"a\":\"\xff\"}").unwrap_err();
    assert_eq!(not_utf8.to_string(), "not valid JSON at byte 6: not UTF-8");
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    let deep = "[".repeat(1_000_000);
    let error = error(&format!(r#"{{"additionalModelRequestFields":{deep}"#));
    assert!(error.contains("nested too deep"), "{error}");
}
