//! The text of a configuration file.

use std::path::{Path, PathBuf};

use super::problem::{ConfigLocation, Problem, Problems};

/// A configuration file, with the text that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path, as the operator named it.
    pub path: PathBuf,
    /// The text.
    pub text: String,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        Ok(Self {
            path: path.to_owned(),
            text: read(path)?,
        })
    }

    /// Returns whether the text contains no key at all. Such a file is probably not written yet.
    pub fn is_empty(&self) -> bool {
        let mut lines = self.text.lines().map(str::trim);
        lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---" || line == "{}")
    }
}

/// Reads the text of a file.
pub(super) fn read(path: &Path) -> Result<String, Problems> {
    std::fs::read_to_string(path).map_err(|error| Problems {
        file: path.display().to_string(),
        problems: vec![Problem {
            key: String::new(),
            place: ConfigLocation::default(),
            message: format!("cannot be read: {error}"),
        }],
    })
}
