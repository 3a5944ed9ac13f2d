//! The API covers everything that applications can send to the operations that the gateway serves,
//! and receive from them: according to the AWS SDK, and according to AWS's own model.
//!
//! Reads the generated source of the SDK version in Cargo.lock, and AWS's model of a pinned
//! version, which is newer than what the SDK knows (`aws_model renew` writes the list). Builds
//! samples of the request and of every event, with each member, variant and enum value, and
//! translates them in both directions. Whatever the gateway's tables lack shows up as a raw member.
//!
//! | module | job |
//! |---|---|
//! | `model` | the shapes in the source of the AWS SDK |
//! | `pinned` | the shapes in AWS's own model |
//! | `sample` | samples of a shape |
//! | `aws` | compares the API with AWS's own model |

#![expect(
    clippy::unwrap_used,
    reason = "a test that panics is a test that fails"
)]

mod aws;
mod model;
mod pinned;
mod sample;

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use bedrock_grpc::{
    bounds::Stop,
    pb::{self, stream_invoke_response::Event},
    translate::{event, guardrail, request},
};
use prost::Message;
use prost_types::{EnumDescriptorProto, FileDescriptorSet};
use serde_json::{Value, json};

use model::{Model, Shape};

/// Enums whose values the proto has as strings, as Bedrock names them.
const CARRIED_AS_STRINGS: [&str; 15] = [
    "GuardrailContentFilterConfidence",
    "GuardrailContentFilterStrength",
    "GuardrailContentFilterType",
    "GuardrailContentPolicyAction",
    "GuardrailContextualGroundingFilterType",
    "GuardrailContextualGroundingPolicyAction",
    "GuardrailManagedWordType",
    "GuardrailOrigin",
    "GuardrailOwnership",
    "GuardrailPiiEntityType",
    "GuardrailSensitiveInformationPolicyAction",
    "GuardrailTopicPolicyAction",
    "GuardrailTopicType",
    "GuardrailWordPolicyAction",
    "ToolUseType",
];

/// Enums that have another name in the proto.
const RENAMED: [(&str, &str); 6] = [
    ("CacheTTL", "CacheTtl"),
    // The values of a header.
    ("Trace", "GuardrailTrace"),
    (
        "GuardrailContentQualifier",
        "GuardrailConverseContentQualifier",
    ),
    ("ConversationRole", "Role"),
    ("GuardrailConverseImageFormat", "ImageFormat"),
    ("GuardrailImageFormat", "ImageFormat"),
];

/// The folder of the SDK's source.
fn sdk() -> PathBuf {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(rustc.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    // Packages of other platforms need not be on this machine.
    let options = ["--offline", "--locked", "--filter-platform", host.unwrap()];
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(options.map(str::to_owned))
        .exec()
        .unwrap();
    let sdk = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == "aws-sdk-bedrockruntime")
        .unwrap();
    sdk.manifest_path.parent().unwrap().join("src").into()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(sdk_folder().join(path)).ok()
}

fn sdk_folder() -> &'static PathBuf {
    static FOLDER: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    FOLDER.get_or_init(sdk)
}

/// Returns the members that the SDK has and the gateway lacks, one per line.
fn missing(read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let model = match Model::read(read) {
        Ok(model) => model,
        Err(problem) => return vec![problem],
    };
    missing_of(&model, "Input", "Output")
}

/// Returns the members of ConverseStream and ApplyGuardrail that the gateway lacks. `input` and
/// `output` are how the names of their shapes end.
fn missing_of(model: &Model, input: &str, output: &str) -> Vec<String> {
    let mut missing = Vec::new();
    for body in sample::of(model, &format!("ConverseStream{input}")) {
        missing.extend(missing_from_request(&body));
    }
    for (kind, shape) in &model.events {
        for payload in sample::of(model, shape) {
            missing.extend(missing_from_event(kind, &payload));
        }
    }
    for body in sample::of(model, &format!("ApplyGuardrail{input}")) {
        missing.extend(missing_from_guardrail_request(&body));
    }
    for body in sample::of(model, &format!("ApplyGuardrail{output}")) {
        missing.extend(missing_from_guardrail_response(&body));
    }
    for (name, shape) in &model.shapes {
        if let Shape::Words(words) = shape {
            missing.extend(missing_words(name, words));
        }
    }
    missing.sort();
    missing.dedup();
    missing
}

fn missing_from_request(body: &Value) -> Vec<String> {
    let input = match request::from_converse(body.to_string().as_bytes()) {
        Ok(input) => input,
        Err(error) => return vec![format!("request: {error}")],
    };
    let missing = raw("request", &input.raw_members);
    // The effort is not an enum for the SDK, so its values are checked here.
    if let Some(config) = &input.output_config
        && !config.effort_name.is_empty()
    {
        return vec![format!(
            "request: /outputConfig/effort = {:?}",
            config.effort_name
        )];
    }
    let sent: Value = serde_json::from_slice(&request::to_converse(&input).unwrap()).unwrap();
    if missing.is_empty() && sent != *body {
        return vec![format!("request: {body} comes out as {sent}")];
    }
    missing
}

fn missing_from_guardrail_request(body: &Value) -> Vec<String> {
    let request = match guardrail::from_apply_guardrail(body.to_string().as_bytes()) {
        Ok(request) => request,
        Err(error) => return vec![format!("guardrail request: {error}")],
    };
    let sent = guardrail::to_apply_guardrail(&request, &Stop::never()).unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    if sent != *body {
        return vec![format!("guardrail request: {body} comes out as {sent}")];
    }
    Vec::new()
}

fn missing_from_guardrail_response(body: &Value) -> Vec<String> {
    let response = guardrail::from_response(body.to_string().as_bytes()).unwrap();
    let missing = raw("guardrail response", &response.raw_members);
    let again: Value = serde_json::from_str(&guardrail::to_response(&response)).unwrap();
    if missing.is_empty() && again != *body {
        return vec![format!("guardrail response: {body} comes out as {again}")];
    }
    missing
}

fn missing_from_event(kind: &str, payload: &Value) -> Vec<String> {
    let event = event::from_bedrock(kind, payload.to_string().as_bytes()).unwrap();
    if let Some(Event::Unknown(_)) = event.event {
        return vec![format!("event {kind}")];
    }
    let missing = raw(kind, &event.raw_members);
    let line: Value = serde_json::from_str(&event::to_bedrock(&event)).unwrap();
    if missing.is_empty() && line != json!({ kind: payload }) {
        return vec![format!("{kind}: {payload} comes out as {line}")];
    }
    missing
}

fn raw(of: &str, members: &[pb::RawMember]) -> Vec<String> {
    let lines = members
        .iter()
        .map(|member| format!("{of}: {} = {}", member.pointer, member.json));
    lines.collect()
}

/// Values of an SDK enum without a value in the proto. The tables keep names of formats and stop
/// reasons next to the enum, so samples would not show them.
fn missing_words(name: &str, words: &[String]) -> Vec<String> {
    let renamed = RENAMED.iter().find(|(sdk, _)| *sdk == name);
    let proto = renamed.map_or(name, |(_, proto)| *proto);
    let enums = proto_enums();
    let Some(values) = enums.get(proto) else {
        return if CARRIED_AS_STRINGS.contains(&name) {
            Vec::new()
        } else {
            vec![format!(
                "enum {name}: neither in the proto nor known to be carried as strings"
            )]
        };
    };
    let known = |word: &String| {
        let value = word.to_ascii_uppercase().replace(['-', '.'], "_");
        values
            .iter()
            .any(|known| known.ends_with(&format!("_{value}")))
    };
    let missing = words.iter().filter(|word| !known(word));
    missing.map(|word| format!("enum {name}: {word}")).collect()
}

/// The enums of the proto and the names of their values.
fn proto_enums() -> BTreeMap<String, Vec<String>> {
    let set = FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
    let enums = set.file.into_iter().flat_map(|file| file.enum_type);
    let names = |descriptor: &EnumDescriptorProto| {
        let values = descriptor.value.iter();
        values.map(|value| value.name().to_owned()).collect()
    };
    enums
        .map(|descriptor| (descriptor.name().to_owned(), names(&descriptor)))
        .collect()
}

#[test]
fn all_that_the_sdk_can_say_and_hear_has_a_field() {
    assert_eq!(missing(&read), Vec::<String>::new());
}

#[test]
fn the_source_is_read_to_its_leaves() {
    let model = Model::read(&read).unwrap();
    assert_eq!(model.events.len(), 6);
    assert!(model.shapes.len() > 90, "{}", model.shapes.len());
    let Some(Shape::Union(blocks)) = model.shapes.get("ContentBlock") else {
        panic!("a union");
    };
    assert_eq!(blocks.len(), 14);
}

/// The SDK's source with `old` replaced in the file at `path`.
fn doctored(path: &'static str, old: &'static str, new: &'static str) -> Vec<String> {
    let read = |asked: &str| {
        let source = read(asked)?;
        if asked == path {
            assert!(source.contains(old));
            Some(source.replace(old, new))
        } else {
            Some(source)
        }
    };
    missing(&read)
}

#[test]
fn a_new_content_block_would_be_noticed() {
    // The types and the serialisers must agree, so one variant is renamed in both.
    let read = |asked: &str| {
        let source = read(asked)?;
        Some(match asked {
            "types/_content_block.rs" => source.replace("    Video(", "    Hologram("),
            "protocol_serde/shape_content_block.rs" => source.replace("\"video\"", "\"hologram\""),
            _ => source,
        })
    };
    let missing = missing(&read);
    assert!(
        missing.iter().all(|line| line.contains("/hologram = ")),
        "{missing:?}"
    );
    assert!(!missing.is_empty());
}

#[test]
fn a_new_delta_would_be_noticed() {
    let read = |asked: &str| {
        let source = read(asked)?;
        Some(match asked {
            "types/_content_block_delta.rs" => source.replace("    Text(", "    Smell("),
            "protocol_serde/shape_content_block_delta.rs" => {
                source.replace("\"text\"", "\"smell\"")
            }
            _ => source,
        })
    };
    assert_eq!(missing(&read), ["contentBlockDelta: /delta/smell = \"x\""]);
}

#[test]
fn a_new_event_would_be_noticed() {
    let read = |asked: &str| {
        let source = read(asked)?;
        Some(match asked {
            "types/_converse_stream_output.rs" => {
                source.replace("    Metadata(", "    Moderation(")
            }
            "event_stream_serde.rs" => source.replace("\"metadata\" =>", "\"moderation\" =>"),
            _ => source,
        })
    };
    assert_eq!(missing(&read), ["event moderation"]);
}

#[test]
fn a_new_stop_reason_would_be_noticed() {
    let missing = doctored("types/_stop_reason.rs", "\"end_turn\" =>", "\"boredom\" =>");
    assert_eq!(missing, ["enum StopReason: boredom"]);
}

#[test]
fn a_new_member_of_the_request_would_be_noticed() {
    let read = |asked: &str| {
        let source = read(asked)?;
        Some(match asked {
            "operation/converse_stream/_converse_stream_input.rs" => {
                source.replace("pub service_tier:", "pub service_level:")
            }
            "protocol_serde/shape_converse_stream_input.rs" => {
                source.replace("\"serviceTier\"", "\"serviceLevel\"")
            }
            _ => source,
        })
    };
    let missing = missing(&read);
    assert!(
        missing
            .iter()
            .all(|line| line.starts_with("request: /serviceLevel = "))
    );
    assert!(!missing.is_empty());
}

#[test]
fn a_new_member_of_a_guardrails_response_would_be_noticed() {
    let read = |asked: &str| {
        let source = read(asked)?;
        Some(match asked {
            "operation/apply_guardrail/_apply_guardrail_output.rs" => {
                source.replace("pub action_reason:", "pub action_motive:")
            }
            "protocol_serde/shape_apply_guardrail.rs" => {
                source.replace("\"actionReason\"", "\"actionMotive\"")
            }
            _ => source,
        })
    };
    assert_eq!(
        missing(&read),
        ["guardrail response: /actionMotive = \"x\""]
    );
}

#[test]
fn a_new_scope_of_a_guardrails_response_would_be_noticed() {
    let missing = doctored(
        "types/_guardrail_output_scope.rs",
        "\"FULL\" =>",
        "\"ALL\" =>",
    );
    assert!(
        missing.contains(&"enum GuardrailOutputScope: ALL".to_owned()),
        "{missing:?}"
    );
}

#[test]
fn a_new_value_in_the_documentation_would_be_noticed() {
    let missing = doctored(
        "types/_output_config.rs",
        "<code>low</code>",
        "<code>lazy</code>",
    );
    assert_eq!(missing, ["request: /outputConfig/effort = \"lazy\""]);
}

#[test]
fn a_new_enum_would_be_noticed() {
    let missing = doctored(
        "types/_tool_use_block.rs",
        "crate::types::ToolUseType>,",
        "crate::types::SortOrder>,",
    );
    assert_eq!(
        missing,
        ["enum SortOrder: neither in the proto nor known to be carried as strings"]
    );
}

#[test]
fn source_in_another_style_is_an_error_and_not_a_success() {
    let missing = doctored(
        "protocol_serde/shape_message.rs",
        "\"content\"",
        "\"contents\"",
    );
    assert_eq!(missing.len(), 1);
    let missing = doctored("types/_message.rs", "pub role: ", "pub(crate) role: ");
    assert_eq!(missing.len(), 1);
}
