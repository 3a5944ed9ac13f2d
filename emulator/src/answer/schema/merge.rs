//! Flattens a schema: resolves references and `allOf`, and converts each alternative of `anyOf` and
//! `oneOf` to one plain schema.

use serde_json::{Map, Value, map::Entry};

use super::{keyword::resolve, work::Work};

/// The maximum depth of nested references and compositions that are followed, and the maximum
/// number of alternatives that are tried.
const DEEPEST: usize = 16;
const MOST: usize = 32;

/// Returns the plain schemas that a schema allows, in its order. If it allows nothing, the result
/// is empty.
pub(super) fn merged(schema: &Value, root: &Value, work: &Work) -> Vec<Map<String, Value>> {
    flatten(schema, (root, work), DEEPEST)
}

fn flatten(schema: &Value, (root, work): (&Value, &Work), depth: usize) -> Vec<Map<String, Value>> {
    let schema = match schema {
        Value::Object(schema) => schema,
        Value::Bool(false) => return Vec::new(),
        _ => return vec![Map::new()],
    };
    let mut plain = schema.clone();
    let mut parts: Vec<Vec<Map<String, Value>>> = Vec::new();
    let reference = plain.remove("$ref");
    let compositions = ["allOf", "anyOf", "oneOf"].map(|name| (name, plain.remove(name)));
    if let Some(depth) = depth.checked_sub(1).filter(|_| work.step()) {
        if let Some(target) = reference
            .as_ref()
            .and_then(Value::as_str)
            .and_then(|name| resolve(root, name))
        {
            parts.push(flatten(target, (root, work), depth));
        }
        for (name, composition) in &compositions {
            let schemas = composition
                .as_ref()
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice);
            let each = schemas
                .iter()
                .map(|schema| flatten(schema, (root, work), depth));
            match *name {
                "allOf" => parts.extend(each),
                _ if schemas.is_empty() => {}
                _ => parts.push(each.flatten().collect()),
            }
        }
    }
    let mut options = vec![plain];
    for part in parts {
        options = options
            .iter()
            .flat_map(|option| part.iter().map(|other| join(option, other)))
            .take(MOST)
            .collect();
    }
    options
}

/// Merges both schemas into one.
fn join(a: &Map<String, Value>, b: &Map<String, Value>) -> Map<String, Value> {
    let mut joined = a.clone();
    for (name, value) in b {
        match joined.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value.clone());
            }
            Entry::Occupied(mut entry) => {
                let both = both(name, entry.get(), value);
                entry.insert(both);
            }
        }
    }
    joined
}

/// Returns the merged value of a keyword that both schemas have.
fn both(name: &str, a: &Value, b: &Value) -> Value {
    let larger = |keep_larger: bool| match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) if (x < y) == keep_larger => b.clone(),
        _ => a.clone(),
    };
    match (name, a, b) {
        ("properties" | "$defs" | "definitions", Value::Object(x), Value::Object(y)) => {
            let mut all = x.clone();
            for (property, schema) in y {
                let schema = match x.get(property) {
                    Some(other) if other != schema => serde_json::json!({"allOf": [other, schema]}),
                    _ => schema.clone(),
                };
                all.insert(property.clone(), schema);
            }
            Value::Object(all)
        }
        ("required", Value::Array(x), Value::Array(y)) => {
            let more = y.iter().filter(|name| !x.contains(name));
            Value::Array(x.iter().chain(more).cloned().collect())
        }
        ("enum", Value::Array(x), Value::Array(y)) => Value::Array(
            x.iter()
                .filter(|value| y.contains(value))
                .cloned()
                .collect(),
        ),
        ("type", Value::Array(_), Value::String(_)) => b.clone(),
        ("type", Value::String(x), Value::String(_)) if x == "number" => b.clone(),
        ("minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties", ..) => {
            larger(true)
        }
        ("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties", ..) => {
            larger(false)
        }
        ("items", ..) if a != b => serde_json::json!({"allOf": [a, b]}),
        _ => a.clone(),
    }
}
