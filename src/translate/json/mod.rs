//! JSON without a tree: a pull reader, a writer, and paths for both.

mod place;
mod reader;
mod unescape;
mod writer;

pub(crate) use place::Place;
pub(crate) use reader::{BEDROCK_DEPTH, Kind, Reader, Syntax};
pub(crate) use unescape::LoneHalves;
pub(crate) use writer::Writer;

/// How deep JSON text from callers may nest.
pub const MAX_DEPTH: u32 = 64;

/// Checks that `text` is one well-formed JSON value, at most [`MAX_DEPTH`] levels deep, with
/// nothing after it.
///
/// # Errors
///
/// Returns what is wrong, and at which byte, as text.
pub fn check(text: &str) -> Result<(), String> {
    let mut reader = Reader::with_limit(text, MAX_DEPTH);
    reader
        .skip()
        .and_then(|_| reader.end())
        .map_err(|syntax| syntax.to_string())
}
