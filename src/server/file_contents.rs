//! Reads the content of all files that a configuration names, at one time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::config;

/// The content of files, or why they cannot be read. Cheap to compare with content that is read
/// later.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct FileContents(BTreeMap<PathBuf, Result<Arc<[u8]>, String>>);

impl FileContents {
    /// Reads these files, each up to its maximum size.
    pub(super) fn read<'a>(files: impl IntoIterator<Item = (&'a Path, u64)>) -> Self {
        let files = files.into_iter().map(|(path, most)| {
            let content = config::read_regular(path, most).map(Arc::from);
            (path.to_owned(), content)
        });
        Self(files.collect())
    }

    /// Returns the content of a file.
    ///
    /// # Errors
    /// Fails with the reason why the file could not be read.
    pub(super) fn of(&self, path: &Path) -> Result<Arc<[u8]>, String> {
        match self.0.get(path) {
            Some(content) => content.clone(),
            None => Err("was not read".to_owned()),
        }
    }

    /// Returns whether a file could not be read.
    pub(super) fn has_missing(&self) -> bool {
        self.0.values().any(Result::is_err)
    }

    /// Returns whether the content of a file differs. Returns false if only one of the two contains
    /// the file.
    pub(super) fn differ_in(&self, other: &Self, path: &Path) -> bool {
        match (self.0.get(path), other.0.get(path)) {
            (Some(one), Some(other)) => one != other,
            _ => false,
        }
    }
}
