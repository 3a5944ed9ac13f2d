//! Checks whether a value matches a schema. This is used to select values of the prompt, and
//! alternatives of the schema.

use serde_json::{Map, Value};

use super::{
    format::fits_format,
    keyword::{count, resolve},
    pattern::Pattern,
    work::Work,
};

/// The maximum depth of references and of nesting. Deeper values are assumed to match.
const DEEPEST: usize = 32;

/// Returns whether the value matches. Unknown keywords are ignored, and keywords that would take
/// too long to check.
pub(super) fn fits(value: &Value, schema: &Value, root: &Value, work: &Work) -> bool {
    fits_within(value, schema, (root, work), DEEPEST)
}

fn fits_within(value: &Value, schema: &Value, (root, work): (&Value, &Work), depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1).filter(|_| work.step()) else {
        return true;
    };
    let schema = match schema {
        Value::Bool(allowed) => return *allowed,
        Value::Object(schema) => schema,
        _ => return true,
    };
    let fits = |value: &Value, schema: &Value| fits_within(value, schema, (root, work), depth);
    if let Some(target) = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|name| resolve(root, name))
        && !fits(value, target)
    {
        return false;
    }
    let each = |name: &str| schema.get(name).and_then(Value::as_array);
    of_type(value, schema.get("type"))
        && schema
            .get("const")
            .is_none_or(|constant| same(value, constant))
        && each("enum").is_none_or(|values| values.iter().any(|allowed| same(value, allowed)))
        && each("allOf").is_none_or(|all| all.iter().all(|schema| fits(value, schema)))
        && each("anyOf").is_none_or(|any| any.iter().any(|schema| fits(value, schema)))
        && each("oneOf")
            .is_none_or(|one| one.iter().filter(|schema| fits(value, schema)).count() == 1)
        && schema.get("not").is_none_or(|not| !fits(value, not))
        && match value {
            Value::Number(_) => number(value.as_f64().unwrap_or_default(), schema),
            Value::String(text) => string(text, schema),
            Value::Array(items) => array(items, schema, &fits),
            Value::Object(members) => object(members, schema, &fits),
            _ => true,
        }
}

/// Returns whether two numbers are equal. JSON can write one number in two ways, such as 1 and 1.0,
/// but in JSON Schema they are the same number.
fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a == b)
}

fn of_type(value: &Value, kind: Option<&Value>) -> bool {
    let is = |kind: &str| match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    match kind {
        Some(Value::String(kind)) => is(kind),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).any(is),
        _ => true,
    }
}

fn number(value: f64, schema: &Map<String, Value>) -> bool {
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    let multiple = |step: f64| {
        let times = value / step;
        (times - times.round()).abs() < 1e-9
    };
    limit("minimum").is_none_or(|min| value >= min)
        && limit("maximum").is_none_or(|max| value <= max)
        && limit("exclusiveMinimum").is_none_or(|min| value > min)
        && limit("exclusiveMaximum").is_none_or(|max| value < max)
        && limit("multipleOf").is_none_or(|step| step <= 0.0 || multiple(step))
}

fn within(length: usize, schema: &Map<String, Value>, min: &str, max: &str) -> bool {
    count(schema, min).is_none_or(|min| length >= min)
        && count(schema, max).is_none_or(|max| length <= max)
}

fn string(text: &str, schema: &Map<String, Value>) -> bool {
    let keyword = |name: &str| schema.get(name).and_then(Value::as_str);
    within(text.chars().count(), schema, "minLength", "maxLength")
        && keyword("pattern")
            .and_then(Pattern::parse)
            .is_none_or(|pattern| pattern.matches(text))
        && keyword("format").is_none_or(|format| fits_format(text, format))
}

fn array(
    items: &[Value],
    schema: &Map<String, Value>,
    fits: &dyn Fn(&Value, &Value) -> bool,
) -> bool {
    let unique = schema
        .get("uniqueItems")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let repeated = || {
        items
            .iter()
            .enumerate()
            .any(|(index, item)| items.iter().take(index).any(|other| same(item, other)))
    };
    let prefix = schema
        .get("prefixItems")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    within(items.len(), schema, "minItems", "maxItems")
        && !(unique && repeated())
        && prefix
            .iter()
            .zip(items)
            .all(|(schema, item)| fits(item, schema))
        && schema.get("items").is_none_or(|schema| {
            items
                .iter()
                .skip(prefix.len())
                .all(|item| fits(item, schema))
        })
        && schema
            .get("contains")
            .is_none_or(|schema| items.iter().any(|item| fits(item, schema)))
}

fn object(
    members: &Map<String, Value>,
    schema: &Map<String, Value>,
    fits: &dyn Fn(&Value, &Value) -> bool,
) -> bool {
    let properties = schema.get("properties").and_then(Value::as_object);
    let known = |name: &str| properties.and_then(|properties| properties.get(name));
    let required = schema
        .get("required")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let additional = schema.get("additionalProperties");
    let patterns = schema.get("patternProperties").and_then(Value::as_object);
    let patterned = |name: &str| {
        patterns.is_some_and(|patterns| {
            patterns
                .keys()
                .any(|regex| Pattern::parse(regex).is_none_or(|pattern| pattern.matches(name)))
        })
    };
    within(members.len(), schema, "minProperties", "maxProperties")
        && required
            .iter()
            .filter_map(Value::as_str)
            .all(|name| members.contains_key(name))
        && members
            .iter()
            .all(|(name, value)| match (known(name), additional) {
                (Some(schema), _) => fits(value, schema),
                (None, Some(schema)) if !patterned(name) => fits(value, schema),
                _ => true,
            })
}
