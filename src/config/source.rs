//! The text of a configuration file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    problem::{ConfigLocation, Problem, Problems},
    value_files::ValueFiles,
    yaml,
};

/// A configuration file and the files that its values refer to, as they were read.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path, as the operator named it.
    pub path: PathBuf,
    /// The text.
    pub text: String,
    /// The files that values refer to, as `${file:/path}`.
    pub values: ValueFiles,
}

impl fmt::Debug for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl ConfigFile {
    /// Reads a file, and the files that its values refer to. A file of a value that cannot be used
    /// is reported when the configuration is parsed.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let text = read(path)?;
        let tree = yaml::parse(&text);
        Ok(Self {
            path: path.to_owned(),
            text,
            values: tree.map_or_else(|_| ValueFiles::default(), |tree| ValueFiles::of(&tree)),
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
