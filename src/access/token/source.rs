//! The location of an issuer's keys: a file, a URL, a discovery document, or the API server of a
//! cluster.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{fetch::Client, key_set::KeySet};
use crate::config::{is_secure_url, read_regular};

/// The maximum size of a file with keys or a token, in bytes.
const MAX_FILE: u64 = 1 << 20;
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// The path at which an API server serves the keys of its service accounts.
const API_SERVER_KEYS: &str = "/openid/v1/jwks";

/// The location of an issuer's keys.
#[derive(Debug)]
pub(super) enum Source {
    /// In a file, such as a mounted ConfigMap.
    File(PathBuf),
    /// At this URL.
    Url { url: String, client: Client },
    /// At the URL that the issuer's discovery document contains.
    Discovery { issuer: String, client: Client },
    /// An API server, which needs a token.
    ApiServer {
        url: String,
        token_file: PathBuf,
        client: Client,
    },
}

/// The fetched keys, and the name of the issuer if the source provides it.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) set: KeySet,
    pub(super) issuer: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl Source {
    pub(super) fn url(url: &str, ca_file: Option<PathBuf>) -> Self {
        Self::Url {
            url: url.to_owned(),
            client: Client::new(ca_file),
        }
    }

    pub(super) fn discovery(issuer: &str, ca_file: Option<PathBuf>) -> Self {
        Self::Discovery {
            issuer: issuer.to_owned(),
            client: Client::new(ca_file),
        }
    }

    pub(super) fn api_server(url: &str, token_file: &Path, ca_file: Option<PathBuf>) -> Self {
        Self::ApiServer {
            url: url.trim_end_matches('/').to_owned(),
            token_file: token_file.to_owned(),
            client: Client::new(ca_file),
        }
    }

    /// Reads keys from a file.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or contains no usable keys.
    pub(super) fn read_file(path: &Path) -> Result<Fetched, String> {
        let wrong = |why: String| format!("jwks_file {}: {why}", path.display());
        let json = read_regular(path, MAX_FILE).map_err(wrong)?;
        Ok(Fetched {
            set: KeySet::parse(&json).map_err(wrong)?,
            issuer: None,
        })
    }

    /// Reads the keys.
    ///
    /// # Errors
    /// Returns what went wrong, with the location and without secrets.
    pub(super) async fn fetch(&self) -> Result<Fetched, String> {
        match self {
            Self::File(path) => Self::read_file(path),
            Self::Url { url, client } => Ok(Fetched {
                set: key_set(client, url, None).await?,
                issuer: None,
            }),
            Self::Discovery { issuer, client } => {
                let url = format!("{}{DISCOVERY}", issuer.trim_end_matches('/'));
                let document = document(client, &url, None).await?;
                if document.issuer != *issuer {
                    return Err(format!(
                        "{url}: the document names an issuer that is not the configured one"
                    ));
                }
                if !is_secure_url(&document.jwks_uri) {
                    return Err(format!("{url}: jwks_uri is not an https:// URL"));
                }
                Ok(Fetched {
                    set: key_set(client, &document.jwks_uri, None).await?,
                    issuer: None,
                })
            }
            Self::ApiServer {
                url,
                token_file,
                client,
            } => {
                // Kubernetes replaces the token every hour, so the file is read each time.
                let token = read_regular(token_file, MAX_FILE)
                    .and_then(|token| {
                        String::from_utf8(token).map_err(|_| "is not text in UTF-8".to_owned())
                    })
                    .map_err(|why| format!("token_file {}: {why}", token_file.display()))?;
                let token = Some(token.trim());
                let document = document(client, &format!("{url}{DISCOVERY}"), token).await?;
                Ok(Fetched {
                    set: key_set(client, &format!("{url}{API_SERVER_KEYS}"), token).await?,
                    issuer: Some(document.issuer),
                })
            }
        }
    }
}

async fn document(client: &Client, url: &str, token: Option<&str>) -> Result<Document, String> {
    let body = client.get(url, token).await?;
    serde_json::from_slice(&body)
        .map_err(|_| format!("{url}: not a discovery document with `issuer` and `jwks_uri`"))
}

async fn key_set(client: &Client, url: &str, token: Option<&str>) -> Result<KeySet, String> {
    let body = client.get(url, token).await?;
    KeySet::parse(&body).map_err(|error| format!("{url}: {error}"))
}
