//! Answers of this API, and what can be wrong with a request.

use serde_json::Value;

/// An answer of this API: JSON, or the error of the request.
pub(super) type Reply = Result<Value, Problem>;

/// Why a request cannot be answered.
pub(super) enum Problem {
    /// The path does not exist.
    NoSuchPath,
    /// The methods that the path supports.
    Method(&'static str),
    /// What is invalid in the body or the path.
    Invalid(String),
}

/// Parses a JSON body.
pub(super) fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::Invalid(format!("The body: {error}")))
}
