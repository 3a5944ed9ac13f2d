//! `request_metadata`: pairs that the gateway adds to all requests, for cost reports. A pair
//! replaces the caller's pair with the same key.
//!
//! Source of the limits: `requestMetadata` of ConverseStream in Bedrock's service model.

use std::collections::BTreeMap;

use super::section::Section;

/// The maximum number of pairs in a request.
pub const MAX_PAIRS: usize = 16;
/// The maximum number of characters of a key or a value.
pub const MAX_CHARS: usize = 256;

/// The pairs that the gateway adds to the requests of all targets, in addition to the pairs of the
/// target. Callers cannot change them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestMetadata {
    /// The fixed pairs. `request_metadata.set`.
    pub set: BTreeMap<String, String>,
    /// Maps keys to names of gRPC metadata, such as the metadata in which a proxy puts the name of
    /// the caller. The value of that metadata becomes the key's value. If the metadata is missing,
    /// the key is left out. `request_metadata.from_headers`.
    pub from_headers: BTreeMap<String, String>,
}

pub(super) fn read(mut section: Section<'_>) -> RequestMetadata {
    let metadata = RequestMetadata {
        set: read_metadata(&mut section, "set"),
        from_headers: section.map("from_headers", key, header),
    };
    if metadata.set.len() + metadata.from_headers.len() > MAX_PAIRS {
        section.report("", format!("Bedrock accepts at most {MAX_PAIRS} pairs"));
    }
    section.finish();
    metadata
}

/// Reads the pairs under a key of the configuration.
pub(super) fn read_metadata(
    section: &mut Section<'_>,
    name: &'static str,
) -> BTreeMap<String, String> {
    let pairs = section.map(name, key, value);
    if pairs.len() > MAX_PAIRS {
        section.report(name, format!("Bedrock accepts at most {MAX_PAIRS} pairs"));
    }
    pairs
}

fn key(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("a key must not be empty".to_owned());
    }
    value(text)
}

fn value(text: &str) -> Result<String, String> {
    if is_value(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` must have at most {MAX_CHARS} characters: letters, digits, spaces and :_@$#=/+,-."
    ))
}

/// Returns whether Bedrock accepts a text as the value of a pair.
pub fn is_value(text: &str) -> bool {
    text.chars().count() <= MAX_CHARS && text.chars().all(is_allowed)
}

/// Returns whether keys and values of pairs can contain a character.
pub fn is_allowed(c: char) -> bool {
    // In Bedrock's pattern, `\s` is ASCII white space and the vertical tab.
    c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || c == '\x0b' || ":_@$#=/+,-.".contains(c)
}

fn header(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty()
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
        });
    if is_name && !text.ends_with("-bin") && !text.starts_with("grpc-") {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is not a valid name of gRPC metadata; write it in lowercase letters, such as x-team"
    ))
}
