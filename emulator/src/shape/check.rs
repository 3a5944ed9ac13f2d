//! Checks a request against its [`Shape`], and converts violations to the service's error.

use serde_json::Value;

use super::{Shape, Text, walk};
use crate::script::ApiError;

/// Checks the named parameters of a path, and a body.
///
/// # Errors
/// JSON of the wrong type is reported as a `SerializationException`. All violated constraints are
/// reported together as one `ValidationException`.
pub(crate) fn check(
    path: &[(&str, &str, &Text)],
    body: &Value,
    shape: &Shape,
) -> Result<(), ApiError> {
    let mut findings = walk::Findings::default();
    for (name, content, text) in path {
        walk::string(name, content, text, &mut findings);
    }
    walk::walk(body, shape, &mut findings).map_err(|message| ApiError {
        status: 400,
        code: "SerializationException",
        message,
    })?;
    match findings.into_message() {
        Some(message) => Err(ApiError::validation(message)),
        None => Ok(()),
    }
}
