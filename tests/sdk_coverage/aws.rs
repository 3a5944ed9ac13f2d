//! The API covers AWS's own model of the operations that the gateway serves, at a pinned version.

use bedrock_grpc::pb;
use prost::Message as _;
use prost_types::FileDescriptorSet;

use crate::{
    missing_of,
    model::{Shape, Type},
    pinned::Pinned,
};

const LIST: &str = include_str!("aws_model.json");

/// What the gateway does not have, each for a reason.
const LACKED: [&str; 1] = [
    // An input in a model's own format has no type, so the gateway counts Converse inputs only.
    "CountTokensInput: invokeModel",
];

/// The headers of InvokeModel and InvokeModelWithResponseStream, and the message and field of the
/// API that corresponds to each.
const HEADERS: [(&str, &str, &str); 13] = [
    ("accept", "InvokeModelRequest", "accept"),
    (
        "x-amzn-bedrock-accept",
        "StreamInvokeModelRequest",
        "accept",
    ),
    (
        "x-amzn-bedrock-trace",
        "GuardrailStreamConfiguration",
        "trace",
    ),
    (
        "x-amzn-bedrock-guardrailidentifier",
        "GuardrailStreamConfiguration",
        "guardrail_identifier",
    ),
    (
        "x-amzn-bedrock-guardrailversion",
        "GuardrailStreamConfiguration",
        "guardrail_version",
    ),
    (
        "x-amzn-bedrock-performanceconfig-latency",
        "PerformanceConfiguration",
        "latency",
    ),
    ("x-amzn-bedrock-service-tier", "ServiceTier", "type"),
    (
        "x-amzn-bedrock-request-metadata",
        "InvokeModelRequest",
        "request_metadata",
    ),
    ("content-type", "InvokeModelResponse", "content_type"),
    (
        "x-amzn-bedrock-content-type",
        "ModelStreamStartEvent",
        "content_type",
    ),
    (
        "x-amzn-bedrock-performanceconfig-latency",
        "InvokeModelResponse",
        "performance_config",
    ),
    (
        "x-amzn-bedrock-service-tier",
        "InvokeModelResponse",
        "service_tier",
    ),
    (
        "x-amzn-bedrock-projectidentifier",
        "InvokeModelRequest",
        "project_identifier",
    ),
];

fn pinned(list: &str) -> Pinned {
    Pinned::read(list).unwrap()
}

/// Returns the members and headers that AWS's model has and the gateway lacks, one per line.
fn missing(list: &str) -> Vec<String> {
    let pinned = pinned(list);
    let mut missing = missing_of(&pinned.model, "Request", "Response");
    for (name, headers) in &pinned.headers {
        let unknown = headers
            .iter()
            .filter(|header| !HEADERS.iter().any(|(known, ..)| known == header));
        missing.extend(unknown.map(|header| format!("{name}: header {header}")));
    }
    missing.extend(missing_from_count(&pinned));
    missing.retain(|line| !LACKED.contains(&line.as_str()));
    missing
}

/// Returns what CountTokens accepts and the input of Converse lacks.
fn missing_from_count(pinned: &Pinned) -> Vec<String> {
    let members = |name: &str| match &pinned.model.shapes[name] {
        Shape::Struct(members) | Shape::Union(members) => members.as_slice(),
        Shape::Words(_) => &[],
    };
    let mut missing = Vec::new();
    for (name, _) in members("CountTokensInput") {
        if name != "converse" {
            missing.push(format!("CountTokensInput: {name}"));
        }
    }
    for (name, r#type) in members("ConverseTokensRequest") {
        let converse = members("ConverseStreamRequest");
        let known = converse
            .iter()
            .any(|(other, of_other)| other == name && same(of_other, r#type));
        if !known {
            missing.push(format!("ConverseTokensRequest: {name}"));
        }
    }
    missing
}

fn same(one: &Type, other: &Type) -> bool {
    format!("{one:?}") == format!("{other:?}")
}

#[test]
fn all_of_the_pinned_model_has_a_field() {
    assert_eq!(missing(LIST), Vec::<String>::new());
}

#[test]
fn the_list_is_read_to_its_leaves() {
    let pinned = pinned(LIST);
    let operations: Vec<_> = pinned.operations.keys().map(String::as_str).collect();
    let served = [
        "ApplyGuardrail",
        "ConverseStream",
        "CountTokens",
        "InvokeModel",
        "InvokeModelWithResponseStream",
    ];
    assert_eq!(operations, served);
    assert_eq!(pinned.model.events.len(), 6);
    assert!(
        pinned.model.shapes.len() > 90,
        "{}",
        pinned.model.shapes.len()
    );
    let Some(Shape::Union(blocks)) = pinned.model.shapes.get("ContentBlock") else {
        panic!("a union");
    };
    assert_eq!(blocks.len(), 14);
}

#[test]
fn the_fields_of_headers_exist() {
    let set = FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
    for (header, message, field) in HEADERS {
        let mut messages = set.file.iter().flat_map(|file| &file.message_type);
        let exists = messages.any(|descriptor| {
            descriptor.name() == message && descriptor.field.iter().any(|own| own.name() == field)
        });
        assert!(exists, "{header}: {message}.{field}");
    }
}

#[test]
fn additions_to_the_model_would_be_noticed() {
    for (old, new, noticed) in [
        (
            "\"video\": \"VideoBlock\"",
            "\"hologram\": \"VideoBlock\"",
            "/hologram = ",
        ),
        ("\"messageStop\": ", "\"moderation\": ", "event moderation"),
        (
            "[\"end_turn\", ",
            "[\"end_turn\", \"boredom\", ",
            "enum StopReason: boredom",
        ),
        (
            "[\"low\", ",
            "[\"low\", \"lazy\", ",
            "request: /outputConfig/effort = \"lazy\"",
        ),
        (
            "\"serviceTier\": \"ServiceTier\"",
            "\"serviceLevel\": \"ServiceTier\"",
            "request: /serviceLevel = ",
        ),
        (
            "\"actionReason\": ",
            "\"actionMotive\": ",
            "/actionMotive = ",
        ),
        (
            "\"x-amzn-bedrock-trace\"",
            "\"x-amzn-bedrock-scent\"",
            "InvokeModelRequest: header x-amzn-bedrock-scent",
        ),
        (
            "\"ConverseTokensRequest\": {\"structure\": {",
            "\"ConverseTokensRequest\": {\"structure\": {\"mood\": \"string\", ",
            "ConverseTokensRequest: mood",
        ),
    ] {
        assert!(LIST.contains(old), "{old}");
        let missing = missing(&LIST.replace(old, new));
        assert!(
            missing.iter().any(|line| line.contains(noticed)),
            "{old}: {missing:?}"
        );
    }
}

#[test]
fn what_is_lacked_is_in_the_model() {
    let pinned = pinned(LIST);
    let mut missing = missing_of(&pinned.model, "Request", "Response");
    missing.extend(missing_from_count(&pinned));
    for line in LACKED {
        assert!(
            missing.iter().any(|found| found == line),
            "{line}: {missing:?}"
        );
    }
}
