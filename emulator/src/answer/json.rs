//! Reads JSON as Bedrock does: a member that is `null` counts as absent.

use serde_json::Value;

/// Returns the member, unless it is absent or null.
pub(super) fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|member| !member.is_null())
}

/// Returns the member at this path of names.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter()
        .try_fold(value, |value, name| member(value, name))
}

/// Returns the string at this path of names.
pub(super) fn text_at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str()
}

/// Returns the list with this name. If it is absent, the result is empty.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    member(value, name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Returns the name and the value of the only member of a union.
pub(super) fn only(union: &Value) -> Option<(&str, &Value)> {
    union
        .as_object()?
        .iter()
        .find(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.as_str(), value))
}
