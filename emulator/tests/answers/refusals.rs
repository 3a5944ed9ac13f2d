//! Requests that Bedrock rejects, with its messages.

use bedrock_emulator::{answer::answer, script::ApiError};
use serde_json::{Value, json};

use super::{MODEL, user, with};

fn refused(model_id: &str, body: &Value) -> ApiError {
    answer(model_id, body).expect_err("an error")
}

/// A request with these messages.
fn said(messages: Value) -> Value {
    json!({ "messages": messages })
}

/// One user message with these blocks.
fn blocks(content: Value) -> Value {
    said(json!([{"role": "user", "content": content}]))
}

fn image() -> Value {
    json!({"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}})
}

fn document(name: &str) -> Value {
    json!({"document": {"format": "pdf", "name": name, "source": {"bytes": "JVBERi0="}}})
}

fn tool(name: &str) -> Value {
    json!({"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}})
}

fn tools(all: &[Value]) -> Value {
    json!({"toolConfig": {"tools": all}})
}

fn call(id: &str) -> Value {
    json!({"role": "assistant", "content": [{"toolUse": {"toolUseId": id, "name": "t", "input": {}}}]})
}

fn result(id: &str) -> Value {
    json!({"role": "user", "content": [{"toolResult": {"toolUseId": id, "content": []}}]})
}

fn question() -> Value {
    json!({"role": "user", "content": [{"text": "x"}]})
}

/// Bodies that are rejected with a `ValidationException`, with words of its message.
fn validation_table() -> Vec<(Value, &'static str)> {
    let with_tools = |body| with(body, tools(&[tool("t")]));
    vec![
        (json!({}), "The messages field is required"),
        (said(json!([])), "The messages field is required"),
        (
            said(json!([{"role": "user", "content": []}])),
            "The content field in the Message object at messages.0 is empty.",
        ),
        (
            said(json!([{"content": [{"text": "x"}]}])),
            "Value null at 'messages.1.member.role' failed to satisfy constraint: Member must not be null",
        ),
        (
            said(json!([call("a")])),
            "A conversation must start with a user message.",
        ),
        (
            said(json!([question(), question()])),
            "A conversation must alternate between user and assistant roles.",
        ),
        (
            user(""),
            "The text field in the ContentBlock object at messages.0.content.0 is blank. Add text to the text field, and try again.",
        ),
        (user(" \n"), "is blank"),
        (
            with(user("x"), json!({"system": [{"text": ""}]})),
            "Value '' at 'system.1.member.text' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            with(user("x"), json!({"system": [{"text": "  "}]})),
            "The text field in the SystemContentBlock object at system.0 is blank.",
        ),
        (
            blocks(json!([{"guardContent": {"text": {"text": ""}}}])),
            "The guard content field in the ContentBlock object at messages.0.content.0 is blank",
        ),
        (
            blocks(json!([{"speech": {}}])),
            "ContentBlock object at messages.0.content.0 must set one of the following keys: text, image,",
        ),
        (
            blocks(json!([{"text": "x", "cachePoint": {"type": "default"}}])),
            "ContentBlock object at messages.0.content.0 can only set one of the following keys",
        ),
        (
            with(user("x"), json!({"inferenceConfig": {"topP": -0.5}})),
            "Value '-0.5' at 'inferenceConfig.topP' failed to satisfy constraint: Member must have value greater than or equal to 0",
        ),
        (
            with(
                user("x"),
                json!({"inferenceConfig": {"temperature": "NaN"}}),
            ),
            "Value 'NaN' at 'inferenceConfig.temperature'",
        ),
        (
            with(
                user("x"),
                json!({"inferenceConfig": {"stopSequences": vec!["s"; 2501]}}),
            ),
            "Value at 'inferenceConfig.stopSequences' failed to satisfy constraint: Member must have length less than or equal to 2500",
        ),
        (
            with(user("x"), tools(&[tool("a b")])),
            "Value 'a b' at 'toolConfig.tools.1.member.toolSpec.name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+",
        ),
        (
            with(user("x"), tools(&[tool(&"n".repeat(65))])),
            "Member must have length less than or equal to 64",
        ),
        (
            with(user("x"), tools(&[tool("t"), tool("t")])),
            "The tool t is already defined at toolConfig.tools.1.",
        ),
        (
            with(
                user("x"),
                json!({"toolConfig": {"tools": [tool("t")], "toolChoice": {"tool": {"name": "u"}}}}),
            ),
            "The tool u at toolConfig.toolChoice.tool.name isn't defined",
        ),
        (
            with(
                user("x"),
                json!({"toolConfig": {"tools": [tool("t")], "toolChoice": {}}}),
            ),
            "ToolChoice object at toolConfig.toolChoice must set one of the following keys: auto, any, tool.",
        ),
        (
            with(
                user("x"),
                json!({"toolConfig": {"tools": [{"cachePoint": {"type": "default"}}]}}),
            ),
            "has cache points only",
        ),
        (
            with(
                user("x"),
                json!({"toolConfig": {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {}}}}]}}),
            ),
            "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object.",
        ),
        (
            said(json!([question(), call("a"), result("a")])),
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ),
        (
            with_tools(said(json!([question(), call("a"), question()]))),
            "Expected toolResult blocks at messages.2.content for the following Ids: a",
        ),
        (
            with_tools(said(json!([question(), call("a")]))),
            "Expected toolResult blocks at messages.2.content for the following Ids: a",
        ),
        (
            with_tools(said(json!([result("a")]))),
            "The number of toolResult blocks at messages.0.content exceeds the number of toolUse blocks of previous turn.",
        ),
        (
            with_tools(said(json!([question(), call("a"), result("b")]))),
            "Expected toolResult blocks at messages.2.content for the following Ids: a",
        ),
        (
            with_tools(said(json!([question(), call("a b"), result("a b")]))),
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_.:-]+",
        ),
        (
            with_tools(said(
                json!([question(), {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "t", "input": "x"}}]}]),
            )),
            "The format of the value at messages.1.content.0.toolUse.input is invalid. Provide a json object",
        ),
        (
            blocks(Value::Array(vec![image(); 21])),
            "You can't include more than 20 images in a request.",
        ),
        (
            blocks(
                json!([{"text": "x"}, document("1"), document("2"), document("3"), document("4"), document("5"), document("6")]),
            ),
            "You can't include more than 5 documents in a request.",
        ),
        (
            blocks(json!([{"text": "x"}, document("1"), document("1")])),
            "Messages can't contain duplicate document names.",
        ),
        (
            blocks(json!([{"text": "x"}, document("a.pdf")])),
            "The document file name can only contain alphanumeric characters",
        ),
        (
            blocks(json!([document("a")])),
            "need a text block beside them",
        ),
        (
            blocks(
                json!([{"text": "x"}, {"document": {"name": "a", "source": {"text": "uncited"}}}]),
            ),
            "must set one of the following keys: bytes, s3Location.",
        ),
        (
            blocks(
                json!([{"text": "x"}, {"document": {"name": "a", "source": {"bytes": "AAAA"}}}]),
            ),
            "The format field in the DocumentBlock object",
        ),
        (
            blocks(json!([{"image": {"format": "png", "source": {"bytes": ""}}}])),
            "Value at 'messages.1.member.content.1.member.image.source.bytes' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            blocks(
                json!([{"image": {"format": "png", "source": {"bytes": "AAAA".repeat(1_310_721)}}}]),
            ),
            "more than the maximum of 3932160 bytes",
        ),
        (
            blocks(
                json!([{"image": {"format": "png", "source": {"s3Location": {"uri": "https://x"}}}}]),
            ),
            "image.source.s3Location.uri' failed to satisfy constraint: Member must satisfy regular expression pattern",
        ),
        (
            said(json!([question(), {"role": "assistant", "content": [image()]}])),
            "The image block at messages.1.content.0 is in a message of the role assistant. It can only be used in messages of the role user.",
        ),
        (
            blocks(json!([{"toolRemoval": {"tool": {"name": "t"}}}])),
            "It can only be used in messages of the role system.",
        ),
        (
            said(json!([question(), {"role": "system", "content": [{"text": "x"}]}])),
            "which can only hold toolAddition and toolRemoval blocks",
        ),
        (
            with(user("x"), json!({"requestMetadata": {}})),
            "Value at 'requestMetadata' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            with(user("x"), json!({"requestMetadata": {"a!": "b"}})),
            "Map keys must satisfy constraint: [Member must satisfy regular expression pattern",
        ),
        (
            with(
                user("x"),
                json!({"requestMetadata": {"a": "b".repeat(257)}}),
            ),
            "Map value must satisfy constraint: [Member must have length less than or equal to 256",
        ),
        (
            with(
                user("x"),
                json!({"additionalModelResponseFieldPaths": ["stop"]}),
            ),
            "The value at additionalModelResponseFieldPaths.0 is not a JSON Pointer",
        ),
        (
            with(
                user("x"),
                json!({"additionalModelResponseFieldPaths": vec!["/a"; 11]}),
            ),
            "Member must have length less than or equal to 10",
        ),
        (
            with(
                user("x"),
                json!({"guardrailConfig": {"guardrailIdentifier": "abc"}}),
            ),
            "The guardrailVersion field must be defined",
        ),
        (
            with(
                user("x"),
                json!({"guardrailConfig": {"guardrailVersion": "1"}}),
            ),
            "The guardrailIdentifier field must be defined",
        ),
        (
            with(
                user("x"),
                json!({"guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "v1"}}),
            ),
            "(|([1-9][0-9]{0,7})|(DRAFT))",
        ),
        (
            with(
                user("x"),
                json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{"}}}}}),
            ),
            "Provide a JSON schema as a string",
        ),
        (
            with(user("x"), json!({"serviceTier": {}})),
            "Value null at 'serviceTier.type'",
        ),
        (
            with(
                user("x"),
                json!({"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 100}}}),
            ),
            "The model returned the following errors: thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        ),
    ]
}

#[test]
fn rules_are_kept_in_bedrocks_words() {
    for (body, message) in validation_table() {
        let error = refused(MODEL, &body);
        assert_eq!(
            (error.status, error.code),
            (400, "ValidationException"),
            "{error:?}"
        );
        assert!(
            error.message.contains(message),
            "expected {message:?}\nin       {:?}",
            error.message
        );
    }
}

#[test]
fn wrong_types_cannot_be_read() {
    for (body, message) in [
        (json!([]), "Start of list found where not expected."),
        (
            json!({"messages": "x"}),
            "STRING_VALUE can not be converted to a List (at messages)",
        ),
        (
            blocks(json!([{"text": 5}])),
            "NUMBER_VALUE can not be converted to a String (at messages.0.content.0.text)",
        ),
        (
            blocks(json!([{"text": {}}])),
            "Start of structure or map found where not expected.",
        ),
        (
            with(user("x"), json!({"inferenceConfig": {"maxTokens": "9"}})),
            "STRING_VALUE can not be converted to an Integer",
        ),
        (
            with(user("x"), json!({"inferenceConfig": {"maxTokens": 1.5}})),
            "NUMBER_VALUE can not be converted to an Integer",
        ),
        (
            with(user("x"), json!({"inferenceConfig": {"topP": true}})),
            "TRUE_VALUE can not be converted to a Float",
        ),
        (
            blocks(json!([{"image": {"format": "png", "source": {"bytes": "not base64"}}}])),
            "The value is not valid base64 (at messages.0.content.0.image.source.bytes)",
        ),
    ] {
        let error = refused(MODEL, &body);
        assert_eq!(
            (error.status, error.code),
            (400, "SerializationException"),
            "{error:?}"
        );
        assert!(
            error.message.contains(message),
            "expected {message:?}\nin       {:?}",
            error.message
        );
    }
}

#[test]
fn model_ids_have_their_own_rules() {
    let long = refused(&"m".repeat(2049), &user("x"));
    assert!(long.message.contains("at 'modelId' failed to satisfy constraint: Member must have length less than or equal to 2048"));
    let prompt = "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ";
    for (name, value) in [
        ("inferenceConfig", json!({})),
        ("system", json!([])),
        ("toolConfig", json!({"tools": [tool("t")]})),
        ("additionalModelRequestFields", json!({})),
    ] {
        let error = refused(prompt, &json!({ name: value }));
        assert!(
            error
                .message
                .starts_with(&format!("The {name} field can't be used")),
            "{error:?}"
        );
    }
    let twice = said(json!([question(), question()]));
    assert!(
        answer("amazon.nova-lite-v1:0", &twice).is_ok(),
        "recorded traffic shows that Amazon's models take this"
    );
}

#[test]
fn null_is_absent_and_unknown_members_are_ignored() {
    let body = with(
        user("x"),
        json!({"system": null, "toolConfig": null, "somethingNew": [1]}),
    );
    assert!(answer(MODEL, &body).is_ok());
    let other = blocks(json!([{"text": "x", "image": null}]));
    assert!(answer(MODEL, &other).is_ok());
}

#[test]
fn broken_constraints_are_reported_together() {
    let error = refused(
        MODEL,
        &json!({
            "messages": [{"role": "robot", "content": [{"text": "x"}, {"image": {"format": "bmp", "source": {"bytes": "AAAA"}}}]}],
            "inferenceConfig": {"maxTokens": 0, "temperature": 1.5, "stopSequences": [""]},
            "toolConfig": {"tools": []},
        }),
    );
    assert_eq!((error.status, error.code), (400, "ValidationException"));
    assert_eq!(
        error.message,
        "6 validation errors detected: \
         Value 'robot' at 'messages.1.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant, system]; \
         Value 'bmp' at 'messages.1.member.content.2.member.image.format' failed to satisfy constraint: Member must satisfy enum value set: [png, jpeg, gif, webp]; \
         Value '0' at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must have value greater than or equal to 1; \
         Value '1.5' at 'inferenceConfig.temperature' failed to satisfy constraint: Member must have value less than or equal to 1; \
         Value '' at 'inferenceConfig.stopSequences.1.member' failed to satisfy constraint: Member must have length greater than or equal to 1; \
         Value at 'toolConfig.tools' failed to satisfy constraint: Member must have length greater than or equal to 1"
    );
}
