//! Defines the destination of a connection, and the traits that its socket must have.

use std::fmt;

use http::Uri;
use tokio::io::{AsyncRead, AsyncWrite};

use super::error::Error;

/// The destination of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) tls: bool,
    /// The host, without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    pub(super) fn of(uri: &Uri) -> Result<Self, Error> {
        let tls = is_tls(uri).ok_or_else(|| {
            Error::request("the endpoint's URL must start with https:// or http://")
        })?;
        let host = host(uri).ok_or_else(|| Error::request("the endpoint's URL names no host"))?;
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: port(uri, tls),
        })
    }

    /// Returns whether this is the destination of a URL.
    pub(super) fn is_of(&self, uri: &Uri) -> bool {
        is_tls(uri) == Some(self.tls)
            && port(uri, self.tls) == self.port
            && host(uri) == Some(&self.host)
    }
}

fn is_tls(uri: &Uri) -> Option<bool> {
    match uri.scheme_str() {
        Some("https") => Some(true),
        Some("http") => Some(false),
        _ => None,
    }
}

fn host(uri: &Uri) -> Option<&str> {
    Some(uri.host()?.trim_start_matches('[').trim_end_matches(']'))
}

fn port(uri: &Uri, tls: bool) -> u16 {
    uri.port_u16().unwrap_or(if tls { 443 } else { 80 })
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The traits that a socket must have. Sockets are boxed, so that the HTTP code is the same with
/// and without TLS.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}
