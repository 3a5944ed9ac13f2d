//! Defines the error for JSON that does not match a table.

use std::fmt;

use super::json::{Position, Syntax};

/// Why JSON could not be translated to the proto, and at which path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The path of the invalid value, with the member names of the JSON, such as
    /// `messages[0].content[0].image.source.bytes`. Empty for the whole document.
    pub path: String,
    /// What was found at the path, and what was expected.
    pub problem: String,
}

impl Error {
    pub(crate) fn new(at: &Position<'_>, problem: impl Into<String>) -> Self {
        Self {
            path: at.path(),
            problem: problem.into(),
        }
    }

    pub(crate) fn syntax(at: &Position<'_>, syntax: &Syntax) -> Self {
        Self::new(at, syntax.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.problem)
        } else {
            write!(f, "{}: {}", self.path, self.problem)
        }
    }
}

impl std::error::Error for Error {}
