//! Reads the files of a configuration. Waits until the files are completely written.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use crate::{
    config::{
        Config, ConfigFile, MAX_LIST, MAX_PEM, MAX_SECRET, ValueFiles, bedrock::API_KEY_FILE,
    },
    server::file_contents::FileContents,
};

/// A file that changed more recently than this may still be incomplete.
const SETTLE: Duration = Duration::from_millis(500);

/// How long files may keep changing before the gateway logs a warning that it is not using the
/// changes yet.
const CHANGING: Duration = Duration::from_secs(5);

/// The files of a configuration.
pub(in crate::server) struct Files {
    /// The content of the configuration file when it was last read. `None` if there is no file.
    config: Option<ConfigFile>,
    /// Whether the configuration file can be read again. A pipe cannot be read again.
    is_regular: bool,
    /// The files that this configuration names, and their maximum sizes. If the configuration is
    /// invalid, these are the files that the last valid version named.
    named: Vec<(PathBuf, u64)>,
    first: Content,
}

/// The content of the files.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::server) struct Content {
    /// The configuration file, or why it cannot be read.
    config: Option<Result<ConfigFile, Vec<String>>>,
    /// The files that the configuration names. If one cannot be read, the code that uses it reports
    /// the error.
    others: FileContents,
}

impl Files {
    /// Reads the files that a configuration names. Must be called before the configuration is used,
    /// so that no later change of a file is missed.
    pub(in crate::server) fn new(file: Option<&ConfigFile>, started: &Config) -> Self {
        let named = named(started);
        Self {
            config: file.cloned(),
            is_regular: file.is_some_and(|file| is_regular(&file.path)),
            first: Content {
                config: file.cloned().map(Ok),
                others: contents(&named),
            },
            named,
        }
    }

    /// Returns whether there are no files that could change.
    pub(super) fn is_empty(&self) -> bool {
        self.config.is_none() && self.named.is_empty()
    }

    /// Returns the content that was read when the gateway started.
    pub(in crate::server) const fn first(&self) -> &Content {
        &self.first
    }

    /// Returns the paths of all files, including those to which values of `content` refer.
    pub(super) fn paths<'a>(&'a self, content: &'a Content) -> impl Iterator<Item = &'a Path> {
        let config = self.config.as_ref().filter(|_| self.is_regular);
        let config = config.map(|file| file.path.as_path());
        let named = self.named.iter().map(|(path, _)| path.as_path());
        let values = content.values().map(ValueFiles::paths);
        let files = config.into_iter().chain(named);
        files.chain(values.into_iter().flatten())
    }

    /// Reads the files. Returns `None` if their content is equal to `seen`, unless `even_if_seen`
    /// is true. Waits until the files have not changed for a while, so it must run on a thread that
    /// may block.
    pub(super) fn read(&mut self, seen: &Content, even_if_seen: bool) -> Option<Content> {
        let mut content = self.now();
        if content == *seen && !even_if_seen {
            return None;
        }
        let (begin, mut is_logged) = (Instant::now(), false);
        loop {
            let rest = self.unsettled_for(&content);
            if let Some((_, path)) = &rest
                && !is_logged
                && begin.elapsed() >= CHANGING
            {
                tracing::warn!(
                    file = %path.display(),
                    "the file has been changing for {CHANGING:?}, so no change of the configuration is used yet; the gateway waits until its files have not changed for {SETTLE:?}"
                );
                is_logged = true;
            }
            let rest = rest.map(|(rest, _)| rest);
            let wait = match rest {
                Some(rest) => rest,
                // A file is missing: an editor may be about to rename another file to this name.
                None if content.has_missing() && content != *seen => SETTLE,
                None => return Some(content),
            };
            std::thread::sleep(wait);
            let now = self.now();
            // This also ends the wait if the clock of the file system is ahead.
            if now == content && (rest.is_none() || wait == SETTLE) {
                return Some(now);
            }
            content = now;
            if content == *seen && !even_if_seen {
                return None;
            }
        }
    }

    /// Returns a file that may still be incomplete, and how long to wait for it. `None` if all
    /// files are complete.
    fn unsettled_for(&self, content: &Content) -> Option<(Duration, PathBuf)> {
        let now = SystemTime::now();
        let rest = |path: &Path| {
            let modified = std::fs::metadata(path).ok()?.modified().ok()?;
            let rest = match now.duration_since(modified) {
                Ok(age) => SETTLE.checked_sub(age).filter(|rest| !rest.is_zero())?,
                Err(_) => SETTLE,
            };
            Some((rest, path.to_owned()))
        };
        self.paths(content).filter_map(rest).max()
    }

    /// Reads the configuration file, and the files that it names now. A configuration file that has
    /// not changed is not parsed again.
    fn now(&mut self) -> Content {
        let file = self.config.as_ref().map(|file| match self.is_regular {
            true => file
                .read_again()
                .map_err(|problems| lines(&problems.to_string())),
            false => Ok(file.with_values_of_now()),
        });
        if let Some(Ok(file)) = &file
            && self.config.as_ref() != Some(file)
        {
            if let Ok(config) = Config::of_file(file) {
                self.named = named(&config);
            }
            self.config = Some(file.clone());
        }
        Content {
            config: file,
            others: contents(&self.named),
        }
    }
}

/// Returns whether a path names a regular file. A missing file counts as regular, because it can be
/// written again.
fn is_regular(path: &Path) -> bool {
    let is_regular = std::fs::metadata(path).map_or(true, |file| file.is_file());
    if !is_regular {
        tracing::warn!(
            file = %path.display(),
            "the configuration is not in a regular file; it is not read again, not even on SIGHUP"
        );
    }
    is_regular
}

fn named(config: &Config) -> Vec<(PathBuf, u64)> {
    let files = config.files();
    let files = files.map(|(key, path)| match key {
        "access.keys_file" => (path.to_owned(), MAX_LIST),
        API_KEY_FILE => (path.to_owned(), MAX_SECRET),
        _ => (path.to_owned(), MAX_PEM),
    });
    files.collect()
}

fn contents(named: &[(PathBuf, u64)]) -> FileContents {
    FileContents::read(named.iter().map(|(path, most)| (path.as_path(), *most)))
}

/// Returns the lines of a message. Each line describes one problem.
pub(super) fn lines(message: &str) -> Vec<String> {
    message.lines().map(str::to_owned).collect()
}

impl Content {
    /// Returns the configuration file. `None` if there is none.
    ///
    /// # Errors
    /// Fails if the file cannot be read.
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

    /// Returns the content of the other files.
    pub(in crate::server) const fn others(&self) -> &FileContents {
        &self.others
    }

    /// Returns the files to which values of the configuration refer.
    fn values(&self) -> Option<&ValueFiles> {
        match &self.config {
            Some(Ok(file)) => Some(&file.values),
            _ => None,
        }
    }

    fn has_missing(&self) -> bool {
        matches!(self.config, Some(Err(_)))
            || self.values().is_some_and(ValueFiles::are_incomplete)
            || self.others.has_missing()
    }
}
