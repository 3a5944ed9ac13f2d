//! A problem in a configuration, and its position.

use std::fmt;

/// A position in a file. Lines and columns start at 1; 0 means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfigLocation {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// A problem in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key's path, such as `targets.claude.model`. Empty if the problem concerns the whole
    /// file.
    pub key: String,
    /// The position of the key or its value.
    pub place: ConfigLocation,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl Problem {
    pub(super) fn new(
        key: impl Into<String>,
        place: ConfigLocation,
        message: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            place,
            message: message.into(),
        }
    }
}

/// All problems in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file as the operator specified it.
    pub file: String,
    /// The problems, in the order of their positions in the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file)?;
            if problem.place.line > 0 {
                write!(f, ":{}:{}", problem.place.line, problem.place.column)?;
            }
            write!(f, ": ")?;
            if !problem.key.is_empty() {
                write!(f, "{}: ", problem.key)?;
            }
            write!(f, "{}", problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
