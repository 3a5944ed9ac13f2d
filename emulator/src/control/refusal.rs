//! Creates errors that several operations of the control plane share.

use crate::{error::WireError, script::ApiError};

pub(super) fn constraint(value: &str, name: &str, rule: &str) -> WireError {
    let message = format!(
        "1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: {rule}"
    );
    ApiError::validation(message).into()
}

/// Returns the value of a parameter. It must be one of the allowed values.
pub(super) fn one_of(
    value: Option<String>,
    name: &str,
    known: &[&str],
) -> Result<Option<String>, WireError> {
    match value {
        Some(value) if !known.contains(&value.as_str()) => {
            let rule = format!("Member must satisfy enum value set: [{}]", known.join(", "));
            Err(constraint(&value, name, &rule))
        }
        value => Ok(value),
    }
}

pub(super) fn not_found(message: &str) -> WireError {
    WireError::bedrock(404, "ResourceNotFoundException", message)
}
