//! JSON values, compared as values.

use serde_json::Value;

/// The value of this text, with all numbers as floats: 1 and 1.0 are the same number.
pub(crate) fn value(text: impl AsRef<[u8]>) -> Value {
    let mut value = serde_json::from_slice(text.as_ref())
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text.as_ref())));
    as_floats(&mut value);
    value
}

fn as_floats(value: &mut Value) {
    match value {
        Value::Number(number) => *value = number.as_f64().unwrap().into(),
        Value::Array(list) => list.iter_mut().for_each(as_floats),
        Value::Object(map) => map.values_mut().for_each(as_floats),
        _ => {}
    }
}
