//! The files that values of a configuration refer to with `${file:/path}`. Their content is secret:
//! it never appears in errors or debug output.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use super::{
    read_file::{MAX_SECRET, read_regular},
    reference::{Part, parts},
    yaml::{Node, Value},
};

/// The minimum length of a secret that is removed from messages. A shorter text can occur in a
/// message by coincidence.
const MIN_HIDDEN: usize = 4;

/// The content of a file, without trailing line breaks.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The files that values refer to, with the content that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueFiles {
    files: BTreeMap<PathBuf, Result<Secret, String>>,
    /// Whether files that are not in `files` are on another machine.
    is_elsewhere: bool,
}

/// Why a file provides no value.
#[derive(Debug)]
pub(super) enum NoValue {
    /// The file is on another machine, so that its content is unknown.
    Elsewhere,
    /// What is wrong with the file.
    Wrong(String),
}

impl ValueFiles {
    /// Reads the files that the values of a tree refer to.
    pub(super) fn of(tree: &Node) -> Self {
        let mut paths = Vec::new();
        collect(&tree.value, &mut paths);
        let read = |path: PathBuf| (path.clone(), read(&path));
        Self {
            files: paths.into_iter().map(read).collect(),
            is_elsewhere: false,
        }
    }

    /// Reads the same files again.
    pub(super) fn read_again(&self) -> Self {
        let read = |path: &PathBuf| (path.clone(), read(path));
        Self {
            files: self.files.keys().map(read).collect(),
            is_elsewhere: self.is_elsewhere,
        }
    }

    /// Treats files that do not exist on this machine as files of another machine. The values that
    /// refer to them count as valid.
    pub(super) fn elsewhere_if_missing(mut self) -> Self {
        self.files.retain(|path, _| path.exists());
        self.is_elsewhere = true;
        self
    }

    /// Returns the content of a file that was read.
    pub(super) fn get(&self, path: &Path) -> Result<&str, NoValue> {
        match self.files.get(path) {
            Some(Ok(Secret(text))) => Ok(text),
            Some(Err(message)) => Err(NoValue::Wrong(message.clone())),
            None if self.is_elsewhere => Err(NoValue::Elsewhere),
            None => Err(NoValue::Wrong(
                "cannot be used here; write the value itself".to_owned(),
            )),
        }
    }

    /// Returns the paths of the files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Returns whether any of the files could not be read or used.
    pub fn are_incomplete(&self) -> bool {
        self.files.values().any(Result::is_err)
    }

    /// Returns whether the content of a file differs from its content in `others`.
    pub(super) fn differ_in(&self, others: &Self, path: &Path) -> bool {
        self.files.get(path) != others.files.get(path)
    }

    /// Replaces every occurrence of a file's content in a message by a reference to the file.
    pub(super) fn hide_in(&self, message: &str) -> String {
        let mut hidden = message.to_owned();
        for (path, content) in &self.files {
            if let Ok(Secret(text)) = content
                && text.len() >= MIN_HIDDEN
            {
                hidden = hidden.replace(text, &format!("${{file:{}}}", path.display()));
            }
        }
        hidden
    }
}

/// Returns the files that a value refers to.
pub(super) fn files_of(text: &str) -> Vec<&Path> {
    let parts = parts(text).unwrap_or_default();
    let files = parts.into_iter().filter_map(|part| match part {
        Part::File(path) => Some(path),
        _ => None,
    });
    files.collect()
}

fn collect(value: &Value, paths: &mut Vec<PathBuf>) {
    match value {
        Value::Null => {}
        Value::Scalar(text) => paths.extend(files_of(text).into_iter().map(Path::to_owned)),
        Value::List(items) => items.iter().for_each(|item| collect(&item.value, paths)),
        Value::Map(entries) => {
            for (_, node) in entries {
                collect(&node.value, paths);
            }
        }
    }
}

/// Reads a file, which must be a regular one: other files can block or be endless.
fn read(path: &Path) -> Result<Secret, String> {
    let bytes = read_regular(path, MAX_SECRET)?;
    let text = String::from_utf8(bytes).map_err(|_| "is not text in UTF-8".to_owned())?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("is empty; write the value to it".to_owned());
    }
    Ok(Secret(text.to_owned()))
}
