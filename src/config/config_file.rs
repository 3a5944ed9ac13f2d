//! The text of a configuration file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    problem::{ConfigLocation, Problem, Problems},
    read_file::{MAX_LIST, read_any, read_regular},
    value_files::ValueFiles,
    yaml,
};

/// A configuration file and the files that its values refer to, with the content that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path as the operator specified it.
    pub path: PathBuf,
    /// The text.
    pub text: String,
    /// The files that values refer to with `${file:/path}`.
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
    /// Reads a configuration file, and the files that its values refer to. The configuration file
    /// can be a pipe, which can be read only once. If a file that a value refers to cannot be used,
    /// this is reported when the configuration is parsed.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        Self::of_content(path, read_any(path, MAX_LIST), None)
    }

    /// Reads the file again. It must be a regular file now, so that reading cannot block. An
    /// unchanged text is not parsed again, because parsing takes long for thousands of callers.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
    pub fn read_again(&self) -> Result<Self, Problems> {
        let content = read_regular(&self.path, MAX_LIST);
        Self::of_content(&self.path, content, Some(self))
    }

    /// Reads only the files that values refer to again, and keeps the text.
    pub fn with_values_of_now(&self) -> Self {
        Self {
            values: self.values.read_again(),
            ..self.clone()
        }
    }

    fn of_content(
        path: &Path,
        content: Result<Vec<u8>, String>,
        before: Option<&Self>,
    ) -> Result<Self, Problems> {
        let text = content.and_then(|content| {
            String::from_utf8(content)
                .map_err(|_| "is not text in UTF-8; save the file in this encoding".to_owned())
        });
        match text {
            Ok(text) => Ok(match before.filter(|before| before.text == text) {
                Some(before) => before.with_values_of_now(),
                None => Self::of_text(path, text),
            }),
            Err(message) => Err(Problems {
                file: path.display().to_string(),
                problems: vec![Problem::new("", ConfigLocation::default(), message)],
            }),
        }
    }

    fn of_text(path: &Path, text: String) -> Self {
        let tree = yaml::parse(&text);
        Self {
            path: path.to_owned(),
            text,
            values: tree.map_or_else(|_| ValueFiles::default(), |tree| ValueFiles::of(&tree)),
        }
    }

    /// Returns whether the text contains no key. Then the file has probably not been written yet.
    pub fn is_empty(&self) -> bool {
        let mut lines = self.text.lines().map(str::trim);
        lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---" || line == "{}")
    }
}
