//! Reads and writes JSON without building a tree in memory.

mod open_levels;
mod position;
mod reader;
mod unescape;
mod writer;

use crate::bounds::Stop;
pub(crate) use position::Position;
pub use reader::MAX_DEPTH;
pub(crate) use reader::{Reader, Syntax, ValueKind};
pub(crate) use unescape::UnpairedSurrogates;
pub(crate) use writer::Writer;

/// Why a text was not accepted as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotJson {
    /// The text is nested deeper than [`MAX_DEPTH`] levels.
    TooDeep,
    /// The text is not well-formed JSON.
    Malformed {
        /// The offset of the first byte that is not valid.
        at: usize,
        /// What is wrong at that byte.
        what: &'static str,
    },
    /// The check was stopped because its result is no longer needed.
    Stopped,
}

impl std::fmt::Display for NotJson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooDeep => f.write_str("nested too deep"),
            Self::Malformed { at, what } => write!(f, "not valid JSON at byte {at}: {what}"),
            Self::Stopped => f.write_str("the check was stopped before the end of the text"),
        }
    }
}

/// Checks that `text` is one well-formed JSON value, at most [`MAX_DEPTH`] levels deep, with
/// nothing after it but white space.
///
/// # Errors
///
/// Returns a description of the first error, with the offset of its byte.
pub fn check(text: &str) -> Result<(), String> {
    check_until(text, &Stop::never()).map_err(|problem| problem.to_string())
}

/// Does the same check as [`check`], but returns early if `stop` is set. Takes one pass and
/// allocates nothing.
///
/// # Errors
///
/// Returns what is wrong, or [`NotJson::Stopped`].
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
