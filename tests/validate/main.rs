//! Validation of requests before Bedrock is called: it reports all violations with their paths, and
//! accepts everything that Bedrock accepts.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics is a test that fails"
)]

mod cases_content;
mod cases_input;
mod cases_media;
mod cases_target;
mod cases_tool;
#[path = "../translate/frames.rs"]
mod frames;
mod history;
mod properties;
mod request;

use bedrock_grpc::{
    error::Violation,
    pb,
    validate::{self, MAX_VIOLATIONS},
};
use request::Case;

fn violations(request: &pb::StreamInvokeRequest) -> Vec<Violation> {
    validate::stream_invoke(request, &request.target)
        .err()
        .unwrap_or_default()
}

fn all_cases() -> impl Iterator<Item = &'static Case> {
    [
        cases_target::CASES,
        cases_input::CASES,
        cases_content::CASES,
        cases_media::CASES,
        cases_tool::CASES,
    ]
    .into_iter()
    .flatten()
}

#[test]
fn each_broken_rule_is_one_violation_at_its_field() {
    let mut wrong = Vec::new();
    for (number, (field, words, change)) in all_cases().enumerate() {
        let mut request = request::full();
        change(&mut request);
        let found = violations(&request);
        let right = matches!(&found[..], [only]
            if only.field == *field && words.iter().all(|word| only.description.contains(word)));
        if !right {
            wrong.push(format!("case {number}: {field} {words:?}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_accepted_variation_passes() {
    let variations = [
        cases_target::ACCEPTED,
        cases_input::ACCEPTED,
        cases_content::ACCEPTED,
        cases_media::ACCEPTED,
        cases_tool::ACCEPTED,
    ];
    for (what, change) in variations.into_iter().flatten() {
        let mut request = request::full();
        change(&mut request);
        assert_eq!(violations(&request), [], "{what}");
    }
}

#[test]
fn a_request_that_uses_everything_passes_with_both_calls() {
    let request = request::full();
    assert_eq!(violations(&request), []);
    let unary = pb::InvokeRequest {
        target: request.target,
        input: request.input,
    };
    assert_eq!(validate::invoke(&unary, &unary.target), Ok(()));
}

#[test]
fn all_violations_come_at_once() {
    let mut request = request::full();
    request.target = "a b".into();
    request.heartbeat_interval = request::duration(0, 1);
    let input = request::input(&mut request);
    input.messages[0].role = 0;
    input.messages[1].content.push(pb::ContentBlock::default());
    input.messages[2].content.clear();
    request::inference_config(input).temperature = Some(f64::NAN);
    input.request_metadata.insert("b!".into(), "x".into());
    input.request_metadata.insert("a!".into(), "x".into());

    let fields: Vec<_> = violations(&request).into_iter().map(|v| v.field).collect();
    assert_eq!(
        fields,
        [
            "target",
            "input.messages[0].role",
            "input.messages[1].content[4]",
            "input.messages[2].content",
            "input.inference_config.temperature",
            "input.request_metadata[\"a!\"]",
            "input.request_metadata[\"b!\"]",
            "heartbeat_interval",
        ]
    );
}

#[test]
fn an_empty_request_names_what_is_required() {
    let found = validate::invoke(&pb::InvokeRequest::default(), "").unwrap_err();
    let fields: Vec<_> = found.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["target", "input"]);
}

#[test]
fn the_answer_stays_small_however_much_is_wrong() {
    let name = "\u{1b}[31m secret ".repeat(10_000);
    let mut request = request::full();
    request::tool_spec(request::input(&mut request)).name = name.clone();
    let mut found = violations(&request);
    assert!(!found.is_empty());

    let mut request = request::full();
    let block = pb::ContentBlock {
        content: Some(pb::content_block::Content::ToolUse(pb::ToolUseBlock {
            name,
            ..Default::default()
        })),
    };
    request::input(&mut request).messages[1].content = vec![block; 1000];
    let of_blocks = violations(&request);
    assert_eq!(of_blocks.len(), MAX_VIOLATIONS);
    assert!(
        of_blocks[MAX_VIOLATIONS - 1]
            .description
            .contains("1951 more rules"),
        "{:?}",
        of_blocks.last()
    );
    found.extend(of_blocks);
    for violation in &found {
        assert!(violation.description.len() < 400, "{violation:?}");
        assert!(!violation.description.contains(char::is_control));
    }
}

#[test]
fn json_that_is_10_000_levels_deep_is_refused_everywhere() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let object = "{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000);
    let mut request = request::full();
    let input = request::input(&mut request);
    request::tool_spec(input).input_schema = Some(pb::ToolInputSchema {
        schema: Some(pb::tool_input_schema::Schema::Json(object)),
    });
    request::json_schema(input).schema = deep.clone();
    input.raw_members[0].json = deep.clone();
    input.additional_model_request_fields = Some(
        pb::converse_input::AdditionalModelRequestFields::AdditionalModelRequestFieldsJson(
            deep.clone(),
        ),
    );
    request::tool_use(input).input = Some(pb::tool_use_block::Input::InputJson(deep.clone()));
    request::tool_result(input).content[0].content =
        Some(pb::tool_result_content_block::Content::Json(deep));

    let found = violations(&request);
    let fields: Vec<_> = found.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "input.messages[1].content[3].tool_use.input_json",
            "input.messages[2].content[0].tool_result.content[0].json",
            "input.tool_config.tools[0].tool_spec.input_schema.json",
            "input.additional_model_request_fields_json",
            "input.output_config.text_format.structure.json_schema.schema",
            "input.raw_members[0].json",
        ]
    );
    for violation in found {
        assert_eq!(
            violation.description,
            "is nested more than 1000 levels deep"
        );
    }
}
