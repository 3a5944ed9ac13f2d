//! Reads keywords that several parts need.

use serde_json::{Map, Value};

/// A count for a keyword.
pub(super) fn count(schema: &Map<String, Value>, name: &str) -> Option<usize> {
    schema
        .get(name)?
        .as_u64()
        .and_then(|count| usize::try_from(count).ok())
}

/// The schema that a local reference names.
pub(super) fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(&reference.strip_prefix('#')?.replace("%20", " "))
}
