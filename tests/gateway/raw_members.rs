//! Raw members: callers can send members that Bedrock adds in the future. A required field may be
//! empty if a raw member provides it.

use bedrock_grpc::{
    pb::{ConverseInput, Message, RawMember, Role, StreamInvokeRequest, ToolConfiguration},
    translate::request::from_converse,
};
use serde_json::{Value, json};
use tonic::Code;

use crate::harness::{Gateway, MODEL, ask, question};

/// Sends an input, and returns the body that reached the emulator, even if the emulator rejects it.
async fn sent(gateway: &Gateway, input: ConverseInput) -> Value {
    let before = gateway.emulator.calls().len();
    let shown = format!("{input:?}");
    let request = StreamInvokeRequest {
        input: Some(input),
        ..ask(MODEL)
    };
    let answer = gateway.stream(request).await;
    if answer.code() != Code::Ok {
        let fields = answer.details().fields();
        assert_ne!(
            answer.details().reason(),
            "INVALID_REQUEST",
            "{fields:?}: {shown}"
        );
    }
    let calls = gateway.ended(before + 1).await;
    serde_json::from_slice(&calls.last().unwrap().body).unwrap()
}

fn message(content: Value) -> Value {
    json!({"messages": [{"role": "user", "content": content}]})
}

fn beside(name: &str, value: Value) -> Value {
    let mut body = message(json!([{"text": "Hi"}]));
    body[name] = value;
    body
}

#[tokio::test]
async fn each_body_of_tomorrow_arrives_as_it_was_written() {
    let gateway = Gateway::start().await;
    let tool = json!({"toolSpec": {"name": "a", "inputSchema": {"json": {"type": "object"}}}});
    for body in [
        message(json!([{"newBlock": {"a": 1}}])),
        message(json!([{"text": "Hi"}, {"newBlock": 1}, {"text": "you"}])),
        json!({"messages": [{"role": "narrator", "content": [{"text": "Hi"}]}]}),
        message(json!([{"image": {"format": "png", "source": {"newSource": 1}}}])),
        message(json!([
            {"text": "Hi"},
            {"document": {"name": "a", "format": "pdf", "source": {"newSource": [1]}}},
        ])),
        message(json!([{"guardContent": {"newContent": {}}}])),
        message(json!([{"guardContent": {"text": {"text": "a", "qualifiers": ["new"]}}}])),
        message(json!([{"toolResult": {"toolUseId": "a", "content": [{"newPart": 1}]}}])),
        json!({"messages": [
            {"role": "user", "content": [{"text": "Hi"}]},
            {"role": "assistant", "content": [
                {"reasoningContent": {"newReasoning": "a"}},
                {"citationsContent": {"content": [{"new": 1}], "citations": [{"location": {"new": 1}}]}},
            ]},
        ]}),
        beside("system", json!([{"newBlock": {}}])),
        beside("toolConfig", json!({"tools": [{"newTool": {}}]})),
        beside(
            "toolConfig",
            json!({"tools": [tool], "toolChoice": {"newChoice": {}}}),
        ),
        beside(
            "toolConfig",
            json!({"tools": [{"newTool": {"name": "b"}}], "toolChoice": {"tool": {"name": "b"}}}),
        ),
        beside(
            "toolConfig",
            json!({"tools": [{"toolSpec": {"name": "a", "inputSchema": {"newSchema": 1}}}]}),
        ),
        beside("guardrailConfig", json!({"newSetting": true})),
        beside(
            "promptVariables",
            json!({"a": {"newVariable": 1}, "b~/c": {"newVariable": 2}}),
        ),
        beside(
            "outputConfig",
            json!({"textFormat": {"type": "json_schema", "structure": {"newStructure": 1}}}),
        ),
        beside(
            "outputConfig",
            json!({"textFormat": {"type": "xml", "structure": {"new": 1}}}),
        ),
    ] {
        let input = from_converse(body.to_string().as_bytes()).unwrap();
        assert!(!input.raw_members.is_empty(), "{body}");
        assert_eq!(sent(&gateway, input).await, body);
    }
}

#[tokio::test]
async fn each_value_of_tomorrow_has_a_field_and_arrives() {
    let gateway = Gateway::start().await;
    for body in [
        beside("guardrailConfig", json!({"streamProcessingMode": "later"})),
        beside("serviceTier", json!({"type": "turbo"})),
        beside("performanceConfig", json!({"latency": "low"})),
        beside("outputConfig", json!({"effort": "none"})),
        beside(
            "system",
            json!([{"text": "Hi"}, {"cachePoint": {"type": "default", "ttl": "2h"}}]),
        ),
    ] {
        let input = from_converse(body.to_string().as_bytes()).unwrap();
        assert_eq!(input.raw_members, [], "{body}");
        assert_eq!(sent(&gateway, input).await, body);
    }
}

fn raw(pointer: &str, json: &Value) -> RawMember {
    RawMember {
        pointer: pointer.to_owned(),
        json: json.to_string(),
    }
}

/// A caller need not set the objects and lists that raw members go into.
#[tokio::test]
async fn raw_members_bring_the_objects_and_lists_that_they_need() {
    let gateway = Gateway::start().await;
    let hi = json!({"role": "user", "content": [{"text": "Hi"}]});
    let input = ConverseInput {
        raw_members: vec![raw("/messages/0", &hi), raw("/messages/-", &hi)],
        ..ConverseInput::default()
    };
    assert_eq!(sent(&gateway, input).await, json!({"messages": [hi, hi]}));

    let input = ConverseInput {
        messages: vec![Message {
            role: Role::User.into(),
            content: Vec::new(),
        }],
        raw_members: vec![raw("/messages/0/content/0", &json!({"text": "Hi"}))],
        ..ConverseInput::default()
    };
    assert_eq!(sent(&gateway, input).await, json!({"messages": [hi]}));

    let input = ConverseInput {
        tool_config: Some(ToolConfiguration::default()),
        raw_members: vec![
            raw("/toolConfig/tools/-", &json!({"newTool": {}})),
            raw("/toolConfig/toolChoice/newChoice", &json!({})),
            raw("/serviceTier/type", &json!("turbo")),
            raw("/additionalModelRequestFields/top_k", &json!(5)),
            raw("/requestMetadata/a", &json!("b")),
        ],
        ..question("Hi")
    };
    let mut expected = beside(
        "toolConfig",
        json!({"tools": [{"newTool": {}}], "toolChoice": {"newChoice": {}}}),
    );
    expected["serviceTier"] = json!({"type": "turbo"});
    expected["additionalModelRequestFields"] = json!({"top_k": 5});
    expected["requestMetadata"] = json!({"a": "b"});
    assert_eq!(sent(&gateway, input).await, expected);
}

/// A raw member elsewhere does not replace a missing field.
#[tokio::test]
async fn what_is_missing_is_still_refused() {
    let gateway = Gateway::start().await;
    for (input, field) in [
        (
            ConverseInput {
                raw_members: vec![raw("/messages/0/content/0", &json!({"text": "Hi"}))],
                ..ConverseInput::default()
            },
            "input.messages",
        ),
        (
            ConverseInput {
                tool_config: Some(ToolConfiguration::default()),
                raw_members: vec![raw("/toolConfig/toolsNew", &json!([]))],
                ..question("Hi")
            },
            "input.tool_config.tools",
        ),
    ] {
        let request = StreamInvokeRequest {
            input: Some(input),
            ..ask(MODEL)
        };
        let answer = gateway.stream(request).await;
        assert_eq!(answer.details().fields(), [field]);
    }
    assert_eq!(gateway.emulator.calls(), []);
}

/// Each raw member that cannot be inserted is named, with its field, and Bedrock is not called.
#[tokio::test]
async fn a_raw_member_that_cannot_be_inserted_is_named() {
    let gateway = Gateway::start().await;
    let deep = "/a".repeat(65);
    for (pointer, json, field, why) in [
        ("", "1", "pointer", "JSON Pointer"),
        ("messages", "1", "pointer", "JSON Pointer"),
        (&deep, "1", "pointer", "more than 64 steps"),
        ("/a~", "1", "pointer", "`~`"),
        ("/a~2b", "1", "pointer", "`~`"),
        ("/a/b", "1", "pointer", "no parent"),
        ("/messages/0/role", "\"user\"", "pointer", "already sets"),
        ("/messages/0/content/0", "{}", "pointer", "already sets"),
        ("/messages/2", "{}", "pointer", "not an index"),
        ("/messages/01", "{}", "pointer", "not an index"),
        ("/messages/+1", "{}", "pointer", "not an index"),
        (
            "/messages/18446744073709551616",
            "{}",
            "pointer",
            "not an index",
        ),
        (
            "/messages/0/content/0/text/a",
            "1",
            "pointer",
            "has no parent",
        ),
        ("/a", "", "json", "JSON"),
        ("/a", "{", "json", "not valid JSON"),
        ("/a", "1 2", "json", "not valid JSON"),
        ("/a", "[1,]", "json", "not valid JSON"),
        ("/a", "\"\u{1}\"", "json", "not valid JSON"),
        ("/a", "01", "json", "not valid JSON"),
        ("/a", "NaN", "json", "not valid JSON"),
    ] {
        let member = RawMember {
            pointer: pointer.to_owned(),
            json: json.to_owned(),
        };
        let mut request = ask(MODEL);
        let input = request.input.get_or_insert_default();
        input.raw_members = vec![raw("/first", &json!(1)), member];
        let answer = gateway.stream(request).await;
        assert_eq!(answer.code(), Code::InvalidArgument, "{pointer} {json}");
        let fields = answer.details().fields();
        let expected = format!("input.raw_members[1].{field}");
        assert_eq!(fields, [expected], "{pointer} {json}");
        let status = answer.end.unwrap_err();
        let message = status.message();
        assert!(message.contains(why), "{pointer} {json}: {message}");
    }
    assert_eq!(gateway.emulator.calls(), []);
}
