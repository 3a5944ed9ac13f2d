//! JSON without a tree: a pull reader, a writer, and paths for both.

mod place;
mod reader;
mod unescape;
mod writer;

use crate::bounds::Stop;
pub(crate) use place::Place;
pub(crate) use reader::{BEDROCK_DEPTH, Kind, Reader, Syntax};
pub(crate) use unescape::LoneHalves;
pub(crate) use writer::Writer;

/// How deep JSON text from callers may nest.
pub const MAX_DEPTH: u32 = 64;

/// Why a text is not JSON that a caller may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotJson {
    /// It nests more than [`MAX_DEPTH`] levels deep.
    TooDeep,
    /// It is no JSON: where that shows, and what is wrong there.
    Malformed {
        /// The byte where it stops being JSON.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// It was not read to its end, because the result is not needed any more.
    Stopped,
}

impl std::fmt::Display for NotJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooDeep => f.write_str("nested too deep"),
            Self::Malformed { at, what } => write!(f, "not valid JSON at byte {at}: {what}"),
            Self::Stopped => f.write_str("not read to its end"),
        }
    }
}

/// Checks that `text` is one well-formed JSON value, at most [`MAX_DEPTH`] levels deep, with
/// nothing after it.
///
/// # Errors
///
/// Returns what is wrong, and at which byte, as text.
pub fn check(text: &str) -> Result<(), String> {
    check_until(text, &Stop::never()).map_err(|problem| problem.to_string())
}

/// Checks the same until `stop` is set. Takes one pass and allocates nothing.
///
/// # Errors
///
/// What is wrong and at which byte.
pub fn check_until(text: &str, stop: &Stop) -> Result<(), NotJson> {
    let mut reader = Reader::with_limit(text, MAX_DEPTH);
    let mut look_at = Stop::INTERVAL;
    let goes_on = |at: usize| {
        if at < look_at {
            return true;
        }
        look_at = at + Stop::INTERVAL;
        !stop.is_set()
    };
    match reader.skip_while(goes_on).and_then(|_| reader.end()) {
        Ok(()) => Ok(()),
        Err(syntax) if syntax.what == reader::STOPPED => Err(NotJson::Stopped),
        Err(syntax) if syntax.what == reader::TOO_DEEP => Err(NotJson::TooDeep),
        Err(Syntax { at, what }) => Err(NotJson::Malformed { at, what }),
    }
}
