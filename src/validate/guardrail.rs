//! Rules for guardrails: their configuration in a request, and the content that they assess.

use super::common::{
    longer_than, open_enum, optional_enum, required_enum, required_enum_item, required_text,
};
use super::media;
use super::path::{Shown, Violations};
use crate::pb;

/// The maximum length of an identifier, in characters. Source: Bedrock's service model.
const MAX_IDENTIFIER_CHARS: usize = 2048;

pub(super) fn config(config: &pb::GuardrailStreamConfiguration, out: &mut Violations) {
    // The pattern names all fields, so that the compiler reports a new field that is not checked.
    let pb::GuardrailStreamConfiguration {
        guardrail_identifier,
        guardrail_version,
        trace,
        stream_processing_mode,
        trace_name,
        stream_processing_mode_name,
    } = config;
    // Bedrock treats an empty string like a missing one.
    let identifier = guardrail_identifier.as_deref().unwrap_or_default();
    let version = guardrail_version.as_deref().unwrap_or_default();

    let is_empty = identifier.is_empty() && version.is_empty();
    let has_no_trace = *trace == 0 && trace_name.is_empty();
    let has_no_mode = *stream_processing_mode == 0 && stream_processing_mode_name.is_empty();
    if is_empty && has_no_trace && has_no_mode {
        out.missing(
            "is empty: set guardrail_identifier and guardrail_version, or remove guardrail_config",
        );
    }
    form(identifier, version, out);
    open_enum::<pb::GuardrailTrace>("trace", "trace_name", *trace, trace_name, out);
    open_enum::<pb::GuardrailStreamProcessingMode>(
        "stream_processing_mode",
        "stream_processing_mode_name",
        *stream_processing_mode,
        stream_processing_mode_name,
        out,
    );
}

/// Checks a guardrail's identifier and version: both or neither must be set, each in the right
/// format.
fn form(identifier: &str, version: &str, out: &mut Violations) {
    match (identifier, version) {
        ("", "") => {}
        ("", _) => out.missing_at(
            "guardrail_identifier",
            "is required if `guardrail_version` is set",
        ),
        (_, "") => out.missing_at(
            "guardrail_version",
            "is required if `guardrail_identifier` is set: use `DRAFT` or a number",
        ),
        _ => {}
    }
    if longer_than(identifier, MAX_IDENTIFIER_CHARS) {
        out.add_at(
            "guardrail_identifier",
            format_args!("is too long: at most {MAX_IDENTIFIER_CHARS} characters are allowed"),
        );
    } else if !identifier.is_empty() && !is_identifier(identifier) {
        out.add_at(
            "guardrail_identifier",
            format_args!(
                "{} is not a guardrail: use its ID (lower-case letters and digits) or its ARN",
                Shown(identifier)
            ),
        );
    }
    if !version.is_empty() && !is_version(version) {
        out.add_at(
            "guardrail_version",
            format_args!(
                "{} is not a version: use `DRAFT` or a number of 1 to 8 digits",
                Shown(version)
            ),
        );
    }
}

/// Checks a request of `ApplyGuardrail`, except for its target.
pub(super) fn apply(request: &pb::ApplyGuardrailRequest, out: &mut Violations) {
    // The pattern names all fields, so that the compiler reports a new field that is not checked.
    let pb::ApplyGuardrailRequest {
        target: _,
        guardrail_identifier,
        guardrail_version,
        source,
        content: blocks,
        output_scope,
    } = request;
    let identifier = guardrail_identifier.as_deref().unwrap_or_default();
    let version = guardrail_version.as_deref().unwrap_or_default();
    form(identifier, version, out);
    required_enum::<pb::GuardrailContentSource>("source", *source, "INPUT or OUTPUT", out);
    if blocks.is_empty() {
        out.no_items_at("content", "is required: add at least one block");
    }
    out.items("content", blocks, content);
    optional_enum::<pb::GuardrailOutputScope>("output_scope", *output_scope, out);
}

/// Returns whether a text is the ID or the ARN of a guardrail.
///
/// Source: Bedrock's service model, `[a-z0-9]+` or
/// `arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+`.
fn is_identifier(identifier: &str) -> bool {
    let is_id = |id: &str| {
        !id.is_empty()
            && id
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let is_region = |region: &str| {
        (1..=20).contains(&region.len())
            && region
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let mut parts = identifier.split(':');
    let arn = [(); 6].map(|()| parts.next());
    match (arn, parts.next()) {
        ([Some(id), None, ..], None) => is_id(id),
        (
            [
                Some("arn"),
                Some(partition),
                Some("bedrock"),
                Some(region),
                Some(account),
                Some(resource),
            ],
            None,
        ) => {
            let partition = partition.strip_prefix("aws");
            partition.is_some_and(|rest| {
                rest.is_empty() || rest.strip_prefix('-').is_some_and(is_region)
            }) && is_region(region)
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource.strip_prefix("guardrail/").is_some_and(is_id)
        }
        _ => false,
    }
}

/// Returns whether a text is a version: a number, or `DRAFT`.
///
/// Source: Bedrock's service model, `[1-9][0-9]{0,7}` or `DRAFT`.
fn is_version(version: &str) -> bool {
    version == "DRAFT"
        || (version.len() <= 8
            && !version.starts_with('0')
            && version.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(super) fn content(block: &pb::GuardrailConverseContentBlock, out: &mut Violations) {
    use pb::guardrail_converse_content_block::Content;

    match &block.content {
        None => out.missing("is empty: set one of text, image"),
        Some(Content::Text(block)) => out.field("text", |out| text(block, out)),
        Some(Content::Image(block)) => out.field("image", |out| media::guard_image(block, out)),
    }
}

fn text(block: &pb::GuardrailConverseTextBlock, out: &mut Violations) {
    required_text("text", &block.text, out);
    out.items("qualifiers", &block.qualifiers, |qualifier, out| {
        required_enum_item::<pb::GuardrailConverseContentQualifier>(
            *qualifier,
            "GROUNDING_SOURCE, QUERY or GUARD_CONTENT",
            out,
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        for good in [
            "5zwrmdlsra2e",
            "arn:aws:bedrock:us-east-1:123456789012:guardrail/abc1",
            "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:guardrail/abc1",
        ] {
            assert!(is_identifier(good), "{good}");
        }
        for bad in [
            "ABC",
            "a b",
            "a/b",
            "abc:1",
            "arn:aws:bedrock:us-east-1:12:guardrail/abc",
            "arn:aws:bedrock:us-east-1:123456789012:guardrail/",
            "arn:aws:bedrock:us-east-1:123456789012:prompt/abc",
            "arn:aws:s3:us-east-1:123456789012:guardrail/abc",
            "arn:awsx:bedrock:us-east-1:123456789012:guardrail/abc",
            "arn:aws-:bedrock:us-east-1:123456789012:guardrail/abc",
            "arn:aws:bedrock::123456789012:guardrail/abc",
            "arn:aws:bedrock:us-east-1:123456789012:guardrail/abc:1",
        ] {
            assert!(!is_identifier(bad), "{bad}");
        }
    }

    #[test]
    fn versions() {
        for good in ["DRAFT", "1", "12345678"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["draft", "0", "01", "123456789", "1.0", "-1"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
