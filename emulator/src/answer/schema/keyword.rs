//! Reads keywords of a schema that several modules use.

use serde_json::{Map, Value};

/// Returns the value of a keyword that is a count.
pub(super) fn count(schema: &Map<String, Value>, name: &str) -> Option<usize> {
    schema
        .get(name)?
        .as_u64()
        .and_then(|count| usize::try_from(count).ok())
}

/// Returns the schema that a local reference names.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(&reference.strip_prefix('#')?.replace("%20", " "))
}
