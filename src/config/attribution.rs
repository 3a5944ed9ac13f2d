//! `request_metadata`: what requests carry for cost reports, whatever their callers say.
//!
//! Source of the limits: `requestMetadata` of ConverseStream in Bedrock's service model.

use std::collections::BTreeMap;

use super::section::Section;

/// The most pairs that Bedrock takes.
pub const MAX_PAIRS: usize = 16;
/// The most characters of a key or a value.
pub const MAX_CHARS: usize = 256;

/// What the requests of all targets carry, besides what a target adds. Neither can be changed by callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestMetadata {
    /// Keys and values. `request_metadata.set`.
    pub set: BTreeMap<String, String>,
    /// Keys, and the metadata of the gRPC call that their value is taken from: such as a caller's name that a proxy has checked. Without it the key
    /// is left out. `request_metadata.from_headers`.
    pub from_headers: BTreeMap<String, String>,
}

pub(super) fn read(mut section: Section<'_>) -> RequestMetadata {
    let metadata = RequestMetadata {
        set: read_metadata(&mut section, "set"),
        from_headers: section.map("from_headers", key, header),
    };
    if metadata.set.len() + metadata.from_headers.len() > MAX_PAIRS {
        section.report("", format!("Bedrock takes {MAX_PAIRS} pairs at most"));
    }
    section.finish();
    metadata
}

/// The pairs under a key.
pub(super) fn read_metadata(
    section: &mut Section<'_>,
    name: &'static str,
) -> BTreeMap<String, String> {
    let pairs = section.map(name, key, value);
    if pairs.len() > MAX_PAIRS {
        section.report(name, format!("Bedrock takes {MAX_PAIRS} pairs at most"));
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
        "`{text}` must have at most {MAX_CHARS} characters, of letters, digits, spaces and :_@$#=/+,-."
    ))
}

/// Whether Bedrock takes this as a value.
pub fn is_value(text: &str) -> bool {
    text.chars().count() <= MAX_CHARS && text.chars().all(is_allowed)
}

/// Whether keys and values may hold this character.
pub fn is_allowed(c: char) -> bool {
    // `\s`: ASCII's white space and the vertical tab.
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
        "`{text}` is not the name of a call's metadata; write it in lower-case letters, such as x-team"
    ))
}
