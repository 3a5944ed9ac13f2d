//! The Bedrock API key from a file (`AWS_BEARER_TOKEN_BEDROCK_FILE`), which signs the calls of the
//! gateway's own identity.
//!
//! A reload replaces the key after the file has changed. Bedrock can reject the previous key before
//! the reload has noticed the change. Then the file is read at once.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use aws_credential_types::Token;
use aws_smithy_runtime_api::client::{
    identity::{Identity, IdentityCacheLocation, IdentityFuture, ResolveIdentity},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::config_bag::ConfigBag;

use super::credentials::{CONFIG_PAUSE, Cause, NoCredentials};
use crate::config::{MAX_SECRET, bedrock::API_KEY_FILE, read_regular};

/// A valid Bedrock API key. Its text appears in no error and no debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct BedrockApiKey(String);

impl BedrockApiKey {
    /// Validates the content of the file with this path, or the reason why it cannot be read.
    /// Spaces and line breaks around the key are ignored.
    ///
    /// # Errors
    ///
    /// Fails if the content is not an API key. The message names the variable and the file.
    pub fn of_file(path: &Path, content: Result<&[u8], &str>) -> Result<Self, String> {
        let key = content.map_err(str::to_owned).and_then(|content| {
            let text = content.trim_ascii();
            if text.is_empty() {
                return Err("is empty; write the API key to it".to_owned());
            }
            match std::str::from_utf8(text) {
                Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                    Ok(Self(text.to_owned()))
                }
                _ => Err(
                    "contains a space, a line break or another character that no API key has; \
                     write only the API key to it"
                        .to_owned(),
                ),
            }
        });
        key.map_err(|why| format!("{API_KEY_FILE}: the file {} {why}", path.display()))
    }

    /// Reads and validates the file.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be read, or does not contain an API key.
    pub fn read(path: &Path) -> Result<Self, String> {
        let content = read_regular(path, MAX_SECRET);
        Self::of_file(path, content.as_deref().map_err(String::as_str))
    }
}

impl fmt::Debug for BedrockApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BedrockApiKey(…)")
    }
}

/// The file of the API key, and the key in use. Cheap to clone; clones share the key.
#[derive(Clone)]
pub(super) struct ApiKeyFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    current: RwLock<Current>,
}

struct Current {
    /// The key, or why the file has never contained one.
    key: Result<(BedrockApiKey, Identity), String>,
    /// Incremented each time the key is replaced by another one.
    version: u64,
}

impl ApiKeyFile {
    /// Reads the file. If it contains no key, calls fail until [`Self::replace`] sets one.
    pub(super) fn open(path: &Path) -> Self {
        let key = BedrockApiKey::read(path).map(with_identity);
        Self(Arc::new(Inner {
            path: path.to_owned(),
            current: RwLock::new(Current { key, version: 0 }),
        }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// Returns the version of the key in use.
    pub(super) fn version(&self) -> u64 {
        let current = self.0.current.read();
        current.unwrap_or_else(PoisonError::into_inner).version
    }

    /// Uses this key for all requests that are sent from now on. Returns whether it differs from
    /// the previous one.
    pub(super) fn replace(&self, key: BedrockApiKey) -> bool {
        let current = self.0.current.write();
        let mut current = current.unwrap_or_else(PoisonError::into_inner);
        if matches!(&current.key, Ok((known, _)) if *known == key) {
            return false;
        }
        current.key = Ok(with_identity(key));
        current.version += 1;
        true
    }

    /// Handles a key that Bedrock rejected. `version` is its version. Reads the file, which a
    /// reload may not have read since its last change. Returns whether there is another key, so
    /// that the call can be retried.
    pub(super) async fn rejected(&self, version: u64) -> bool {
        if self.version() > version {
            return true;
        }
        let path = self.0.path.clone();
        let read = tokio::task::spawn_blocking(move || BedrockApiKey::read(&path)).await;
        // An unusable file is reported by the reload.
        let Ok(Ok(key)) = read else {
            return false;
        };
        if self.replace(key) {
            tracing::warn!(
                file = %self.0.path.display(),
                "Bedrock rejected the API key; using the new one from the file"
            );
        }
        self.version() > version
    }
}

fn with_identity(key: BedrockApiKey) -> (BedrockApiKey, Identity) {
    let token = Token::new(key.0.clone(), None);
    (key, Identity::new(token, None))
}

impl ResolveIdentity for ApiKeyFile {
    fn resolve_identity<'a>(
        &'a self,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let current = self.0.current.read();
        let current = current.unwrap_or_else(PoisonError::into_inner);
        IdentityFuture::ready(match &current.key {
            Ok((_, identity)) => Ok(identity.clone()),
            Err(problem) => {
                let (cause, text) = (Cause::WronglyConfigured, problem.clone());
                Err(NoCredentials::new(cause, text, CONFIG_PAUSE).into())
            }
        })
    }

    /// The SDK's cache would keep a key for 15 minutes.
    fn cache_location(&self) -> IdentityCacheLocation {
        IdentityCacheLocation::IdentityResolver
    }
}

impl fmt::Debug for ApiKeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyFile")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_word() {
        let of = |content: &[u8]| BedrockApiKey::of_file(Path::new("/secrets/key"), Ok(content));
        let key = of(b"ABSKabc+/=\n").unwrap();
        assert_eq!(key, of(b" \tABSKabc+/=\r\n\n").unwrap());
        assert_eq!(format!("{key:?}"), "BedrockApiKey(…)");
        for (content, expected) in [
            (&b""[..], "is empty"),
            (b" \n", "is empty"),
            (b"canary one", "contains a space"),
            (b"canary\none", "contains a space"),
            ("canary\u{e4}".as_bytes(), "contains a space"),
            (b"canary\xff", "contains a space"),
        ] {
            let problem = of(content).unwrap_err();
            let starts = "AWS_BEARER_TOKEN_BEDROCK_FILE: the file /secrets/key ";
            assert!(problem.starts_with(starts), "{problem}");
            assert!(problem.contains(expected), "{problem}");
            assert!(!problem.contains("canary"), "{problem}");
        }
    }

    #[tokio::test]
    async fn a_rejected_key_is_replaced_by_that_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "one").unwrap();
        let file = ApiKeyFile::open(&path);
        assert!(!file.rejected(file.version()).await);
        for unusable in ["", "two words"] {
            std::fs::write(&path, unusable).unwrap();
            assert!(!file.rejected(0).await);
        }
        std::fs::write(&path, "two").unwrap();
        assert!(file.rejected(0).await);
        assert_eq!(file.version(), 1);
        // A call that was sent with the previous key is retried with the one in use.
        assert!(file.rejected(0).await);
        assert!(!file.rejected(1).await);
        // A reload reads the same content later.
        assert!(!file.replace(BedrockApiKey::read(&path).unwrap()));
        assert_eq!(file.version(), 1);
    }
}
