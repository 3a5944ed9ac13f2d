//! Defines the responses of the control API, and the errors of its requests.

use serde_json::Value;

/// A response of the control API: JSON, or the error of the request.
pub(super) type Reply = Result<Value, Problem>;

/// Why a request cannot be answered.
pub(super) enum Problem {
    /// The path does not exist.
    NoSuchPath,
    /// The path does not support the method. It supports these methods.
    Method(&'static str),
    /// The body or the path is invalid, for this reason.
    Invalid(String),
}

/// Parses a JSON body.
pub(super) fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::Invalid(format!("Invalid body: {error}")))
}
