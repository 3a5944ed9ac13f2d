//! Recorded traffic with Bedrock, from the folder that `BEDROCK_GRPC_RECORDED` names.

use std::{collections::BTreeMap, fs, path::PathBuf};

use bedrock_grpc::{
    pb::{
        self, content_block::Content, reasoning_content_block::Content as Reasoning,
        tool_use_block::Input,
    },
    translate::{event, fold::Fold, request, response},
};
use serde_json::{Value, json, value::RawValue};

use crate::{frames::frames, values::value};

fn cases(kind: &str) -> Vec<PathBuf> {
    let folder = std::env::var_os("BEDROCK_GRPC_RECORDED").unwrap();
    let folder = PathBuf::from(folder).join(kind);
    let cases = fs::read_dir(folder).unwrap();
    cases.map(|case| case.unwrap().path()).collect()
}

/// The texts of all members that contain the caller's JSON.
fn passed_through(text: &str, found: &mut Vec<String>) {
    if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
        for (name, value) in members {
            let opaque = matches!(&*name, "json" | "input" | "additionalModelRequestFields");
            if opaque {
                found.push(value.get().to_owned());
            } else {
                passed_through(value.get(), found);
            }
        }
    } else if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) {
        for element in elements {
            passed_through(element.get(), found);
        }
    }
}

#[test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
fn requests_come_out_as_they_went_in() {
    for case in ["stream", "json", "error"].into_iter().flat_map(cases) {
        let file = fs::read_to_string(case.join("request.json")).unwrap();
        let file: BTreeMap<String, &RawValue> = serde_json::from_str(&file).unwrap();
        let body = file["body"].get();
        let input = request::from_converse(body.as_bytes()).unwrap();
        let sent = request::to_converse(&input).unwrap();
        assert_eq!(value(body), value(&sent), "{}", case.display());
        assert_eq!(sent, request::to_converse(&input).unwrap());

        let again = request::from_converse(&sent).unwrap();
        assert_eq!(again, input);

        let sent = std::str::from_utf8(&sent).unwrap();
        let mut texts = Vec::new();
        passed_through(body, &mut texts);
        for text in texts {
            assert!(sent.contains(&text), "{}: {text}", case.display());
        }
    }
}

#[test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
fn events_come_out_as_they_went_in() {
    for case in cases("stream") {
        for (kind, payload) in frames(&fs::read(case.join("response.body")).unwrap()) {
            let event = event::from_bedrock(&kind, &payload).unwrap();
            let mut expected = value(&payload);
            expected.as_object_mut().unwrap().remove("p");
            let line = event::to_bedrock(&event);
            assert_eq!(value(line), json!({ kind: expected }), "{}", case.display());
        }
    }
}

#[test]
#[cfg_attr(not(recorded), ignore = "BEDROCK_GRPC_RECORDED is not set")]
fn streams_fold_to_the_answer_of_a_correct_reader() {
    for case in cases("stream") {
        let mut fold = Fold::default();
        let mut indices = Vec::new();
        for (kind, payload) in frames(&fs::read(case.join("response.body")).unwrap()) {
            let event = event::from_bedrock(&kind, &payload).unwrap();
            if kind == "contentBlockStop" {
                indices.push(value(&payload)["contentBlockIndex"].clone());
            }
            fold.push(event);
        }
        let answer = fold.finish();

        let expected = value(fs::read(case.join("expected.json")).unwrap());
        let converse = value(response::to_converse(&answer));
        let name = case.display();
        assert_eq!(
            converse["output"]["message"]["role"], expected["role"],
            "{name}"
        );
        for member in ["stopReason", "usage", "metrics", "trace"] {
            assert_eq!(
                converse.get(member),
                expected.get(member),
                "{name}: {member}"
            );
        }
        let content = answer.message.unwrap().content;
        let blocks = content
            .iter()
            .zip(indices)
            .map(|(block, index)| as_expected(block, index));
        assert_eq!(
            Value::Array(blocks.collect()),
            expected["content"],
            "{name}"
        );
    }
}

/// A block in the form of `expected.json`.
fn as_expected(block: &pb::ContentBlock, index: Value) -> Value {
    let mut expected = match block.content.as_ref().unwrap() {
        Content::Text(text) => json!({ "text": text }),
        Content::ReasoningContent(reasoning) => match reasoning.content.as_ref().unwrap() {
            Reasoning::ReasoningText(reasoning) => {
                json!({ "reasoningContent": { "text": reasoning.text, "signature": reasoning.signature } })
            }
            Reasoning::RedactedContent(_) => panic!("no recording holds it"),
        },
        Content::ToolUse(tool) => {
            let Some(Input::InputJson(input)) = &tool.input else {
                panic!("always JSON text");
            };
            let mut tool_use =
                json!({ "name": tool.name, "toolUseId": tool.tool_use_id, "inputRaw": input });
            if let Ok(value) = serde_json::from_str::<Value>(input) {
                tool_use["input"] = value;
            }
            if let Some(kind) = &tool.r#type {
                tool_use["type"] = kind.clone().into();
            }
            json!({ "toolUse": tool_use })
        }
        Content::CitationsContent(cited) => {
            let message = pb::Message {
                role: pb::Role::Assistant.into(),
                content: vec![block.clone()],
            };
            let answer = pb::InvokeResponse {
                message: Some(message),
                ..Default::default()
            };
            let converse = value(response::to_converse(&answer));
            let content = &converse["output"]["message"]["content"][0]["citationsContent"];
            assert_eq!(cited.content.len(), 1);
            json!({ "text": content["content"][0]["text"], "citations": content["citations"] })
        }
        other => panic!("no recording holds {other:?}"),
    };
    expected["index"] = index;
    value(expected.to_string())
}
