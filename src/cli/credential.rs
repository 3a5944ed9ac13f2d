//! The API key or token that the client commands send.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tonic::metadata::{Ascii, MetadataValue};

use super::request_file::unreadable;
use crate::config;

/// The metadata key of the credential.
pub(super) const AUTHORIZATION: &str = "authorization";

/// The API key or token of every call. `Debug` does not show it.
#[derive(Clone, Default)]
pub struct Credential(Option<Source>);

#[derive(Clone)]
enum Source {
    Key(MetadataValue<Ascii>),
    /// The file of a token. Tokens are short-lived, so the file is read for each call. If it cannot
    /// be read, the last token is used.
    TokenFile {
        path: PathBuf,
        last: Arc<Mutex<MetadataValue<Ascii>>>,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            None => "none",
            Some(Source::Key(_)) => "an API key",
            Some(Source::TokenFile { .. }) => "a token",
        })
    }
}

impl Credential {
    /// Returns the first credential that is set: the token file, the key file, or the key in the
    /// environment.
    ///
    /// Fails with a message if a file cannot be used.
    pub fn find(key_file: Option<&Path>, token_file: Option<&Path>) -> Result<Self, String> {
        let source = if let Some(path) = token_file {
            let last = read("--token-file", path)?;
            Some(Source::TokenFile {
                path: path.to_owned(),
                last: Arc::new(Mutex::new(last)),
            })
        } else if let Some(path) = key_file {
            Some(Source::Key(read("--key-file", path)?))
        } else {
            let key = config::caller_key();
            key.map(|key| bearer(&key).map(Source::Key).ok_or(BAD_VARIABLE))
                .transpose()?
        };
        Ok(Self(source))
    }

    /// Returns the value of `authorization`, if there is a credential.
    pub(super) fn authorization(&self) -> Option<MetadataValue<Ascii>> {
        match self.0.as_ref()? {
            Source::Key(value) => Some(value.clone()),
            Source::TokenFile { path, last } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if let Ok(value) = read("--token-file", path) {
                    *last = value;
                }
                Some(last.clone())
            }
        }
    }
}

const BAD_VARIABLE: &str =
    "BEDROCK_GRPC_KEY is not a valid API key: expected visible ASCII characters";

/// Reads a file that contains a credential. Error messages do not show its content.
fn read(option: &str, path: &Path) -> Result<MetadataValue<Ascii>, String> {
    let text = fs::read_to_string(path)
        .map_err(|error| unreadable(format_args!("{option} {}", path.display()), &error))?;
    bearer(&text).ok_or_else(|| {
        format!(
            "{option} {}: expected one line of visible ASCII characters",
            path.display()
        )
    })
}

fn bearer(text: &str) -> Option<MetadataValue<Ascii>> {
    let text = text.trim();
    let is_one_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    let mut value = is_one_word
        .then(|| MetadataValue::try_from(format!("Bearer {text}")).ok())
        .flatten()?;
    value.set_sensitive(true);
    Some(value)
}
