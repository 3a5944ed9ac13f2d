//! Defines the errors that can occur between a request and the headers of its response.

use std::fmt;

use aws_smithy_runtime_api::client::result::ConnectorError;

/// A failed request. Its text contains hosts and causes, but no headers, because headers contain
/// credentials.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(in crate::bedrock) struct Error {
    /// How far the request had progressed.
    pub(in crate::bedrock) kind: Kind,
    message: String,
}

/// How far a failed request had progressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bedrock) enum Kind {
    /// The request is invalid.
    Request,
    /// No connection could be opened.
    Connect,
    /// The connection ended, and the peer has certainly not processed the request.
    Unprocessed,
    /// The connection broke, and the peer may have processed the request.
    Broken,
}

impl Error {
    pub(in crate::bedrock) fn request(why: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Request,
            message: format!("cannot send the request: {why}"),
        }
    }

    pub(super) fn connect(message: String) -> Self {
        Self {
            kind: Kind::Connect,
            message,
        }
    }

    /// Adds the name of the proxy to the text.
    pub(super) fn through(self, proxy: &impl fmt::Display) -> Self {
        Self {
            message: format!("{} (through the proxy {proxy})", self.message),
            ..self
        }
    }

    pub(super) fn unprocessed(why: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Unprocessed,
            message: format!("the connection closed before the request was sent: {why}"),
        }
    }

    pub(super) fn broken(why: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Broken,
            message: format!("the connection broke before an answer: {why}"),
        }
    }
}

impl From<Error> for ConnectorError {
    fn from(error: Error) -> Self {
        match error.kind {
            Kind::Request => Self::user(error.into()),
            Kind::Connect => Self::io(error.into()).never_connected(),
            Kind::Unprocessed | Kind::Broken => Self::io(error.into()),
        }
    }
}
