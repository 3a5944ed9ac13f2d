//! The events of a stream, combined.

use bedrock_grpc::{
    pb,
    translate::{event, fold::Fold, response},
};

use crate::values::value;

fn pointers(members: &[pb::RawMember]) -> Vec<&str> {
    members.iter().map(|member| &*member.pointer).collect()
}

/// The Converse response that these events form.
fn folded(events: &[(&str, &str)]) -> (pb::InvokeResponse, serde_json::Value) {
    let mut fold = Fold::default();
    for (kind, payload) in events {
        fold.push(event::from_bedrock(kind, payload.as_bytes()).unwrap());
    }
    let answer = fold.finish();
    let converse = value(response::to_converse(&answer));
    (answer, converse)
}

#[test]
fn interleaved_and_sparse_blocks_are_ordered_by_index() {
    let (answer, converse) = folded(&[
        ("messageStart", r#"{"role":"assistant","mood":"good"}"#),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":7,"start":{"toolUse":{"toolUseId":"i","name":"n","color":"red"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":3,"delta":{"text":"a"}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":7,"delta":{"toolUse":{"input":"{\"x\""}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"th"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":3,"delta":{"text":"b"}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"ink"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"s"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":7,"delta":{"toolUse":{"input":": 10}"}}}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":7,"cost":1}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":5}"#),
        (
            "messageStop",
            r#"{"stopReason":"tool_use","additionalModelResponseFields":{"a":1},"why":2}"#,
        ),
        (
            "metadata",
            r#"{"usage":{"inputTokens":1,"serverToolUsage":{}},"metrics":{"latencyMs":5}}"#,
        ),
        ("somethingNew", r#"{"a":1}"#),
    ]);
    assert_eq!(answer.unknown_events.len(), 1);
    assert_eq!(
        pointers(&answer.raw_members),
        [
            "/output/message/mood",
            "/output/message/content/2/toolUse/color",
            "/output/message/content/2/cost",
            "/why",
            "/usage/serverToolUsage"
        ]
    );
    assert_eq!(
        converse,
        value(
            r#"{"output":{"message":{"role":"assistant","mood":"good","content":[
                {"reasoningContent":{"reasoningText":{"text":"think","signature":"s"}}},
                {"text":"ab"},
                {"toolUse":{"toolUseId":"i","name":"n","color":"red","input":{"x":10}},"cost":1}]}},
              "stopReason":"tool_use","why":2,"additionalModelResponseFields":{"a":1},
              "usage":{"inputTokens":1,"serverToolUsage":{}},"metrics":{"latencyMs":5}}"#
        )
    );
}

#[test]
fn pieces_of_the_other_kinds_are_put_together() {
    let (answer, converse) = folded(&[
        ("messageStart", r#"{"role":"assistant"}"#),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"redactedContent":"AAE="}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"redactedContent":"Ag=="}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":1,"delta":{"citation":{"title":"one"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":1,"delta":{"text":"cited"}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":1,"delta":{"citation":{"title":"two","rank":1}}}"#,
        ),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":2,"start":{"toolResult":{"toolUseId":"i","type":"t","status":"error"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":2,"delta":{"toolResult":[{"text":"a"}]}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":2,"delta":{"toolResult":[{"json":{"b":1}},{"text":"c","lang":"en"}]}}"#,
        ),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":3,"start":{"image":{"format":"webp"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":3,"delta":{"image":{"source":{"bytes":"AAEC"}}}}"#,
        ),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":4,"start":{"toolUse":{"toolUseId":"i","name":"n"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":4,"delta":{"toolUse":{"input":""}}}"#,
        ),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":5,"start":{"toolUse":{"toolUseId":"i","name":"n"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":5,"delta":{"toolUse":{"input":"{\"cut"}}}"#,
        ),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":6,"start":{"smell":{"rose":1}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":6,"delta":{"smell":"a"}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":6,"delta":{"smell":"b"}}"#,
        ),
    ]);
    assert_eq!(
        pointers(&answer.raw_members),
        [
            "/output/message/content/1/citationsContent/citations/1/rank",
            "/output/message/content/2/toolResult/content/2/lang",
            "/output/message/content/6/smell",
            "/output/message/content/6/smell",
            "/output/message/content/6/smell"
        ]
    );
    assert_eq!(
        converse["output"]["message"]["content"],
        value(
            r#"[{"reasoningContent":{"redactedContent":"AAEC"}},
                {"citationsContent":{"content":[{"text":"cited"}],"citations":[{"title":"one"},{"title":"two","rank":1}]}},
                {"toolResult":{"toolUseId":"i","type":"t","status":"error","content":[{"text":"a"},{"json":{"b":1}},{"text":"c","lang":"en"}]}},
                {"image":{"format":"webp","source":{"bytes":"AAEC"}}},
                {"toolUse":{"toolUseId":"i","name":"n","input":{}}},
                {"toolUse":{"toolUseId":"i","name":"n","input":"{\"cut"}},
                {"smell":{"rose":1}}]"#
        )
    );
}

#[test]
fn a_piece_that_does_not_fit_its_block_is_not_lost() {
    let (answer, _) = folded(&[
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"text":"a"}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{}"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":1,"delta":{"reasoningContent":{"text":"a"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":1,"delta":{"reasoningContent":{"redactedContent":"AA=="}}}"#,
        ),
    ]);
    assert_eq!(answer.message.unwrap().content.len(), 4);
}

#[test]
fn empty_blocks_are_left_out_and_raw_members_keep_their_block() {
    let (answer, converse) = folded(&[
        ("messageStart", r#"{"role":"assistant"}"#),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":0,"delta":{"text":""}}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":1,"delta":{"reasoningContent":{"text":""}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":2,"delta":{"reasoningContent":{}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":3,"delta":{"reasoningContent":{"signature":"s"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":4,"delta":{"text":""},"mood":"good"}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":5,"delta":{"citation":{"title":"t"}}}"#,
        ),
        (
            "contentBlockDelta",
            r#"{"contentBlockIndex":6,"delta":{"text":" "}}"#,
        ),
    ]);
    assert_eq!(
        pointers(&answer.raw_members),
        ["/output/message/content/1/mood"]
    );
    assert_eq!(
        converse["output"]["message"]["content"],
        value(
            r#"[{"reasoningContent":{"reasoningText":{"text":"","signature":"s"}}},{"mood":"good"},
                {"citationsContent":{"citations":[{"title":"t"}]}},{"text":" "}]"#
        )
    );
}

#[test]
fn an_answer_without_blocks_has_an_empty_content() {
    let (_, converse) = folded(&[
        ("messageStart", r#"{"role":"assistant"}"#),
        ("messageStop", r#"{"stopReason":"end_turn"}"#),
    ]);
    assert_eq!(
        converse,
        value(
            r#"{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn"}"#
        )
    );
}

/// Every kind of delta, for a block that has begun as every other kind: nothing is lost, and
/// nothing loops.
#[test]
fn a_delta_of_another_kind_begins_another_block() {
    let deltas = [
        r#"{"text":"a"}"#,
        r#"{"toolUse":{"input":"{}"}}"#,
        r#"{"toolResult":[{"text":"a"}]}"#,
        r#"{"reasoningContent":{"text":"a"}}"#,
        r#"{"image":{"source":{"bytes":"AAEC"}}}"#,
    ];
    for first in deltas {
        for second in deltas.into_iter().filter(|second| *second != first) {
            let event = |delta| format!(r#"{{"contentBlockIndex":0,"delta":{delta}}}"#);
            let (answer, _) = folded(&[
                ("contentBlockDelta", &event(first)),
                ("contentBlockDelta", &event(second)),
            ]);
            let count = answer.message.unwrap().content.len();
            assert_eq!(count, 2, "{first} {second}");
        }
    }
}

#[test]
fn reasoning_of_which_nothing_is_known_is_not_made_up() {
    let (_, converse) = folded(&[(
        "contentBlockDelta",
        r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"summary":"s"}}}"#,
    )]);
    assert_eq!(
        converse["output"]["message"]["content"],
        value(r#"[{"reasoningContent":{"summary":"s"}}]"#)
    );
}
