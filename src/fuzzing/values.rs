//! Compares JSON values.

use serde_json::Value;

/// Returns the value of a JSON text. `None` if serde_json cannot represent it: unpaired surrogates,
/// numbers beyond f64, more than 127 levels.
pub(super) fn parsed(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok()
}

/// Returns whether a text is one JSON value, whatever it contains.
pub(super) fn is_json(json: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(json).is_ok()
}

/// Returns the value with all numbers as floats, and without members that are null: `7` and `7.0`
/// are the same for Bedrock, and null means absence.
pub(super) fn normal(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.into_iter().map(normal).collect(),
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, normal(value)))
            .collect(),
        other => other,
    }
}

/// Returns whether two values are the same, apart from the last digits of floats: serde_json may
/// round two decimals of the same number to adjacent floats.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (
                a.as_f64().unwrap_or(f64::NAN),
                b.as_f64().unwrap_or(f64::NAN),
            );
            a == b || (a - b).abs() <= a.abs() * 2.0 * f64::EPSILON
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}
