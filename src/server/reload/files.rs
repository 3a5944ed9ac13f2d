//! Reads the files of a configuration, once they are complete.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::config::{Config, ConfigFile, ValueFiles};

/// A file that has changed within this time may still be written.
const SETTLE: Duration = Duration::from_millis(500);

/// The files of a configuration.
pub(in crate::server) struct Files {
    /// The configuration file, as it was read first. `None`: there is no file.
    config: Option<ConfigFile>,
    keys: Option<PathBuf>,
    first: Content,
}

/// The content of the files.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content {
    /// The configuration file, or why it cannot be read.
    config: Option<Result<ConfigFile, Vec<String>>>,
    /// The keys file. An error is reported where the keys are parsed.
    keys: Option<Result<String, String>>,
}

impl Files {
    /// Reads the keys file of a configuration. Must be called before the configuration is used, so
    /// that no later change of the file is missed.
    pub(in crate::server) fn new(config: Option<&ConfigFile>, started: &Config) -> Self {
        let keys = started.access.keys_file.clone();
        Self {
            config: config.cloned(),
            first: Content {
                config: config.cloned().map(Ok),
                keys: keys.as_deref().map(read_keys),
            },
            keys,
        }
    }

    /// Returns whether there is no file that could change.
    pub(super) fn is_empty(&self) -> bool {
        self.config.is_none() && self.keys.is_none()
    }

    /// Returns the content before the gateway started.
    pub(super) const fn first(&self) -> &Content {
        &self.first
    }

    /// Uses the files that another configuration names.
    pub(super) fn follow(&mut self, config: &Config) {
        self.keys.clone_from(&config.access.keys_file);
    }

    /// Returns the paths of all files, with those to which values of `content` refer.
    pub(super) fn paths<'a>(&'a self, content: &'a Content) -> impl Iterator<Item = &'a Path> {
        let config = self.config.as_ref().map(|file| file.path.as_path());
        let values = content.values().map(ValueFiles::paths);
        let files = config.into_iter().chain(self.keys.as_deref());
        files.chain(values.into_iter().flatten())
    }

    /// Reads the files. Returns `None` if they are as `seen`, unless that does not matter. Waits
    /// until the files have not changed for a while.
    pub(super) async fn read(&self, seen: &Content, even_if_seen: bool) -> Option<Content> {
        let mut content = self.now();
        if content == *seen && !even_if_seen {
            return None;
        }
        loop {
            let rest = self.unsettled_for(&content);
            let is_missing = matches!(content.config, Some(Err(_)))
                || content.values().is_some_and(ValueFiles::are_incomplete);
            let wait = match rest {
                Some(rest) => rest,
                // An editor may be about to rename another file to this name.
                None if is_missing && content != *seen => SETTLE,
                None => return Some(content),
            };
            tokio::time::sleep(wait).await;
            let now = self.now();
            // Also if the clock of the file system is ahead.
            if now == content && (rest.is_none() || wait == SETTLE) {
                return Some(now);
            }
            content = now;
            if content == *seen && !even_if_seen {
                return None;
            }
        }
    }

    /// Returns the remaining time for which a file may still be written. `None`: all are complete.
    fn unsettled_for(&self, content: &Content) -> Option<Duration> {
        let now = SystemTime::now();
        let rest = |path: &Path| {
            let modified = std::fs::metadata(path).ok()?.modified().ok()?;
            match now.duration_since(modified) {
                Ok(age) => SETTLE.checked_sub(age).filter(|rest| !rest.is_zero()),
                Err(_) => Some(SETTLE),
            }
        };
        self.paths(content).filter_map(rest).max()
    }

    fn now(&self) -> Content {
        let read = |file: &ConfigFile| {
            ConfigFile::read(&file.path)
                .map_err(|problems| problems.to_string().lines().map(str::to_owned).collect())
        };
        Content {
            config: self.config.as_ref().map(read),
            keys: self.keys.as_deref().map(read_keys),
        }
    }
}

fn read_keys(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

impl Content {
    /// Returns the configuration file. `None`: there is none.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    pub(super) fn file(&self) -> Result<Option<&ConfigFile>, Vec<String>> {
        match &self.config {
            None => Ok(None),
            Some(Ok(file)) => Ok(Some(file)),
            Some(Err(problems)) => Err(problems.clone()),
        }
    }

    /// Returns the text of the configuration file, if there is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.config {
            Some(Ok(file)) => Some(&file.text),
            _ => None,
        }
    }

    /// Returns the files that values of the configuration refer to.
    fn values(&self) -> Option<&ValueFiles> {
        match &self.config {
            Some(Ok(file)) => Some(&file.values),
            _ => None,
        }
    }

    /// Returns the content of the keys file.
    pub(super) fn keys(&self) -> Option<&Result<String, String>> {
        self.keys.as_ref()
    }
}
