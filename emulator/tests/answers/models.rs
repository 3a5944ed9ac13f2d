//! Requests that some models reject and others accept.

use bedrock_emulator::answer::answer;
use serde_json::{Value, json};

use super::{user, with};

const NOVA: &str = "amazon.nova-lite-v1:0";
const CLAUDE_3_7: &str = "us.anthropic.claude-3-7-sonnet-20250219-v1:0";
const CLAUDE_4: &str = "us.anthropic.claude-sonnet-4-20250514-v1:0";
const CLAUDE_4_5: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const CLAUDE_5: &str = "us.anthropic.claude-sonnet-5";
const LLAMA: &str = "meta.llama3-8b-instruct-v1:0";

/// Returns the error message, or an empty text.
fn error(model_id: &str, body: &Value) -> String {
    answer(model_id, body)
        .err()
        .map_or_else(String::new, |error| error.message)
}

/// Asserts that these models accept a request, and that those reject it with an error that contains
/// these words.
fn only(body: &Value, takers: &[&str], refusers: &[&str], words: &str) {
    for model in takers {
        assert_eq!(error(model, body), "", "{model}");
    }
    for model in refusers {
        let error = error(model, body);
        assert!(error.contains(words), "{model}: {error:?}");
    }
}

fn holding(blocks: impl IntoIterator<Item = Value>) -> Value {
    let text = json!({"text": "What is this?"});
    let content: Vec<_> = std::iter::once(text).chain(blocks).collect();
    json!({"messages": [{"role": "user", "content": content}]})
}

fn document(name: usize, format: &str, source: Value) -> Value {
    json!({"document": {"format": format, "name": format!("d{name}"), "source": source}})
}

fn bytes(count: usize) -> Value {
    json!({"bytes": "A".repeat(count.div_ceil(3) * 4)})
}

#[test]
fn the_number_of_images_and_their_size_are_limits_of_claude() {
    let image = |source| json!({"image": {"format": "png", "source": source}});
    let all = [NOVA, LLAMA, CLAUDE_4, CLAUDE_5];
    only(&holding(vec![image(bytes(3)); 20]), &all, &[], "");
    only(
        &holding(vec![image(bytes(3)); 25]),
        &[NOVA, LLAMA],
        &[CLAUDE_4, CLAUDE_5],
        "more than 20 images",
    );
    only(
        &holding([image(bytes(4_000_000))]),
        &[NOVA, LLAMA],
        &[CLAUDE_4, CLAUDE_5],
        "more than the maximum of 3932160 bytes",
    );
}

#[test]
fn the_size_of_documents_depends_on_model_and_format() {
    let large = |format| holding([document(1, format, bytes(6_000_000))]);
    let words = "more than the maximum of 4718592 bytes";
    only(
        &large("pdf"),
        &[NOVA, CLAUDE_4, CLAUDE_5],
        &[CLAUDE_3_7, LLAMA],
        words,
    );
    only(
        &large("docx"),
        &[NOVA],
        &[CLAUDE_3_7, CLAUDE_4, CLAUDE_5, LLAMA],
        words,
    );
    only(
        &large("txt"),
        &[],
        &[NOVA, CLAUDE_3_7, CLAUDE_4, LLAMA],
        words,
    );
}

#[test]
fn nova_takes_more_documents_from_s3() {
    let in_s3 = |count| {
        let source = json!({"s3Location": {"uri": "s3://bucket/a.pdf"}});
        holding((0..count).map(|name| document(name, "pdf", source.clone())))
    };
    only(&in_s3(5), &[NOVA, CLAUDE_4, LLAMA], &[], "");
    only(
        &in_s3(8),
        &[NOVA],
        &[CLAUDE_4, LLAMA],
        "more than 5 documents",
    );
    only(&in_s3(1_000), &[NOVA], &[], "");
    only(&in_s3(1_001), &[], &[NOVA], "more than 1000 documents");
    let in_request = holding((0..6).map(|name| document(name, "pdf", bytes(3))));
    only(
        &in_request,
        &[],
        &[NOVA, CLAUDE_4, LLAMA],
        "more than 5 documents",
    );
}

#[test]
fn newer_claudes_refuse_temperature_beside_top_p_and_the_newest_both() {
    let sampled = |config: Value| with(user("x"), json!({"inferenceConfig": config}));
    let both = sampled(json!({"temperature": 0.7, "topP": 0.9}));
    let cannot = "`temperature` and `top_p` cannot both be specified for this model.";
    only(
        &both,
        &[NOVA, LLAMA, CLAUDE_3_7, CLAUDE_4],
        &[CLAUDE_4_5],
        cannot,
    );
    let split = with(
        sampled(json!({"temperature": 0.7})),
        json!({"additionalModelRequestFields": {"top_p": 0.9}}),
    );
    only(&split, &[CLAUDE_4], &[CLAUDE_4_5], cannot);
    let deprecated = "is deprecated for this model.";
    for one in [json!({"temperature": 0.7}), json!({"topP": 0.9})] {
        only(
            &sampled(one),
            &[NOVA, CLAUDE_4, CLAUDE_4_5],
            &[CLAUDE_5],
            deprecated,
        );
    }
    only(&sampled(json!({"temperature": 1})), &[CLAUDE_5], &[], "");
}

#[test]
fn thinking_and_reasoning_refuse_other_sampling() {
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let with_thinking = |config: Value| {
        with(
            user("x"),
            json!({"inferenceConfig": config, "additionalModelRequestFields": thinking}),
        )
    };
    let models = [CLAUDE_3_7, CLAUDE_4, CLAUDE_4_5];
    let words = "`temperature` may only be set to 1 when thinking is enabled.";
    only(
        &with_thinking(json!({"temperature": 0.7})),
        &[],
        &models,
        words,
    );
    let words = "`top_p` must be greater than or equal to 0.95";
    only(&with_thinking(json!({"topP": 0.9})), &[], &models, words);
    only(
        &with_thinking(json!({"temperature": 1, "maxTokens": 2000})),
        &models,
        &[],
        "",
    );
    only(&with_thinking(json!({"topP": 0.95})), &models, &[], "");

    let high = json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}});
    for parameter in ["maxTokens", "temperature", "topP"] {
        let body = with(
            user("x"),
            json!({"inferenceConfig": {parameter: 1}, "additionalModelRequestFields": high}),
        );
        only(
            &body,
            &[],
            &[NOVA],
            "must be unset when maxReasoningEffort is high",
        );
    }
    let body = with(user("x"), json!({"additionalModelRequestFields": high}));
    only(&body, &[NOVA], &[], "");
}

#[test]
fn claude_thinks_on_from_its_own_reasoning_only() {
    let history = |first: Value| {
        json!({
            "messages": [
                {"role": "user", "content": [{"text": "x"}]},
                {"role": "assistant", "content": [first, {"toolUse": {"toolUseId": "a", "name": "t", "input": {}}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": []}}]},
            ],
            "toolConfig": {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}]},
            "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        })
    };
    let reasoning = json!({"reasoningContent": {"reasoningText": {"text": "x", "signature": "s"}}});
    only(&history(reasoning), &[CLAUDE_4, CLAUDE_4_5], &[], "");
    let words = "Expected `thinking` or `redacted_thinking`, but found `text`";
    only(
        &history(json!({"text": "x"})),
        &[NOVA],
        &[CLAUDE_4, CLAUDE_4_5],
        words,
    );
}
