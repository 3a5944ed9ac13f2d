//! Restricts the objects in Amazon S3 that requests can name, because Bedrock reads them with the
//! gateway's role.

use crate::{
    config::s3::S3Locations,
    pb::{
        ContentBlock, ConverseInput, MediaSource, S3Location, content_block::Content,
        document_source, media_source, tool_result_content_block,
    },
    validate::{Shown, Violations},
};

/// Returns whether a text names an object in S3, in any spelling that Bedrock might accept.
pub(super) fn is_location(text: &str) -> bool {
    // This also skips quotes, brackets and invisible characters.
    let text = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let scheme = text.split("://").next().unwrap_or_default();
    let has_scheme = scheme.len() < text.len()
        && ["s3", "s3a", "s3n"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known));
    let is_arn = || {
        let mut parts = text.splitn(4, ':');
        parts
            .next()
            .is_some_and(|part| part.eq_ignore_ascii_case("arn"))
            && parts
                .nth(1)
                .is_some_and(|part| part.to_ascii_lowercase().starts_with("s3"))
    };
    has_scheme || is_arn()
}

pub(super) fn refusal(uri: &str) -> String {
    format!(
        "{} is not in a location that this gateway allows; send the bytes, or ask the operator to add the location to s3_locations",
        Shown(uri)
    )
}

pub(super) fn check(locations: &S3Locations, input: &ConverseInput, out: &mut Violations) {
    out.items("messages", &input.messages, |message, out| {
        out.items("content", &message.content, |block, out| {
            content(locations, block, out);
        });
    });
}

fn content(locations: &S3Locations, block: &ContentBlock, out: &mut Violations) {
    use tool_result_content_block::Content as Part;

    let media = |kind, source: &Option<MediaSource>, out: &mut Violations| {
        out.field(kind, |out| media(locations, source.as_ref(), out));
    };
    match &block.content {
        Some(Content::Image(block)) => media("image", &block.source, out),
        Some(Content::Video(block)) => media("video", &block.source, out),
        Some(Content::Audio(block)) => media("audio", &block.source, out),
        Some(Content::Document(block)) => {
            out.field("document", |out| {
                document(locations, block.source.as_ref(), out);
            });
        }
        Some(Content::ToolResult(block)) => out.field("tool_result", |out| {
            out.items("content", &block.content, |part, out| match &part.content {
                Some(Part::Image(block)) => media("image", &block.source, out),
                Some(Part::Video(block)) => media("video", &block.source, out),
                Some(Part::Document(block)) => out.field("document", |out| {
                    document(locations, block.source.as_ref(), out);
                }),
                // All kinds are listed, so that the compiler reports a new one.
                Some(
                    Part::Json(_) | Part::JsonStruct(_) | Part::Text(_) | Part::SearchResult(_),
                )
                | None => {}
            });
        }),
        // A guardrail accepts images only as bytes.
        Some(
            Content::Text(_)
            | Content::ToolUse(_)
            | Content::GuardContent(_)
            | Content::CachePoint(_)
            | Content::ReasoningContent(_)
            | Content::CitationsContent(_)
            | Content::SearchResult(_)
            | Content::ToolAddition(_)
            | Content::ToolRemoval(_),
        )
        | None => {}
    }
}

fn media(locations: &S3Locations, source: Option<&MediaSource>, out: &mut Violations) {
    if let Some(media_source::Source::S3Location(at)) = source.and_then(|it| it.source.as_ref()) {
        location(locations, at, out);
    }
}

fn document(
    locations: &S3Locations,
    source: Option<&crate::pb::DocumentSource>,
    out: &mut Violations,
) {
    if let Some(document_source::Source::S3Location(at)) = source.and_then(|it| it.source.as_ref())
    {
        location(locations, at, out);
    }
}

fn location(locations: &S3Locations, at: &S3Location, out: &mut Violations) {
    if !locations.admit(&at.uri) {
        out.field("source", |out| {
            out.field("s3_location", |out| out.add_at("uri", refusal(&at.uri)));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_found_in_any_spelling() {
        for uri in [
            "s3://a/b",
            "S3://a/b",
            "\n s3://a/b",
            "\u{feff}s3://a/b",
            "'s3://a/b'",
            "[\"s3://a/b\"]",
            "s3a://a/b",
            "s3n://a",
            "arn:aws:s3:::a/b",
            "ARN:aws-cn:S3:::a/b",
            "arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/x",
        ] {
            assert!(is_location(uri), "{uri}");
        }
        for text in [
            "s3",
            "s3:",
            "see s3://a/b",
            "https://a/s3://b",
            "arn:aws:bedrock:::x",
            "",
        ] {
            assert!(!is_location(text), "{text}");
        }
    }
}
