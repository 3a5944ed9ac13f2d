//! Why JSON does not match a table.

use std::fmt;

use super::json::{Place, Syntax};

/// Why JSON could not be translated to the proto.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The place, in JSON's names, such as `messages[0].content[0].image.source.bytes`. Empty for
    /// the whole document.
    pub path: String,
    /// What was found there, and what is expected.
    pub problem: String,
}

impl Error {
    pub(crate) fn new(at: &Place<'_>, problem: impl Into<String>) -> Self {
        Self {
            path: at.path(),
            problem: problem.into(),
        }
    }

    pub(crate) fn syntax(at: &Place<'_>, syntax: &Syntax) -> Self {
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
