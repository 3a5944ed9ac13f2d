//! Generates values that match a JSON Schema. If possible, the values are taken from the prompt.

mod check;
mod format;
mod keyword;
mod merge;
mod number;
mod pattern;
mod text;
mod work;

use serde_json::{Map, Value};

use self::{check::fits, keyword::count, merge::merged, work::Work};

/// A source of values from the prompt. Other values are invented.
pub(super) trait Hints {
    /// Returns values of the prompt that fit a property. The best one is first.
    fn candidates(&mut self, name: &str, schema: &Map<String, Value>) -> Vec<Value>;

    /// Returns the subject of the prompt. It is used for a required string for which there is no
    /// other value.
    fn topic(&self) -> Option<Value>;

    /// Records that a candidate was used, so that the next property gets another one.
    fn used(&mut self, value: &Value);
}

/// The depth of objects and arrays beyond which optional members are omitted, and the depth beyond
/// which nothing more is generated.
const DEEP: usize = 4;
const DEEPEST: usize = 24;

/// Generates a value that matches the schema. For a contradictory schema, generates the closest
/// possible value.
pub(super) fn generate(schema: &Value, hints: &mut dyn Hints) -> Value {
    let mut generator = Generator {
        root: schema,
        hints,
        work: Work::default(),
    };
    generator.value(schema, "", 0, 0)
}

struct Generator<'a> {
    root: &'a Value,
    hints: &'a mut dyn Hints,
    work: Work,
}

impl Generator<'_> {
    /// Generates a value. `name` is the name of the property, and `index` makes several items
    /// different.
    fn value(&mut self, schema: &Value, name: &str, depth: usize, index: usize) -> Value {
        if depth > DEEPEST || !self.work.step() {
            return Value::Null;
        }
        let options = merged(schema, self.root, &self.work);
        let mut first = None;
        for option in &options {
            let value = self.of_option(option, schema, name, depth, index);
            if fits(&value, schema, self.root, &self.work) {
                return value;
            }
            first.get_or_insert(value);
        }
        first.unwrap_or(Value::Null)
    }

    /// Returns a value for one of the alternatives that a schema allows.
    fn of_option(
        &mut self,
        option: &Map<String, Value>,
        schema: &Value,
        name: &str,
        depth: usize,
        index: usize,
    ) -> Value {
        if let Some(constant) = option.get("const") {
            return constant.clone();
        }
        let (root, work) = (self.root, &self.work);
        let good = |value: &Value| fits(value, schema, root, work);
        if index == 0 || !option.contains_key("enum") {
            let found = self
                .hints
                .candidates(name, option)
                .into_iter()
                .find(|value| good(value));
            if let Some(value) = found {
                self.hints.used(&value);
                return value;
            }
        }
        let list = |keyword: &str| {
            option
                .get(keyword)
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice)
        };
        let usual = list("examples").iter().chain(option.get("default"));
        let allowed: Vec<&Value> = list("enum").iter().filter(|value| good(value)).collect();
        let known = match allowed.len() {
            0 => usual.into_iter().find(|value| index == 0 && good(value)),
            count => allowed.get(index % count).copied(),
        };
        if let Some(value) = known {
            return value.clone();
        }
        let open = index == 0 && kind(option) == "string" && !option.contains_key("pattern");
        let topic = open.then(|| self.hints.topic()).flatten();
        match topic.filter(good) {
            Some(topic) => topic,
            None => self.invent(option, name, depth, index),
        }
    }

    fn invent(
        &mut self,
        schema: &Map<String, Value>,
        name: &str,
        depth: usize,
        index: usize,
    ) -> Value {
        match kind(schema) {
            "null" => Value::Null,
            "boolean" => Value::Bool(index.is_multiple_of(2)),
            "integer" => number::generate(schema, true, index),
            "number" => number::generate(schema, false, index),
            "array" => self.array(schema, name, depth),
            "object" => self.object(schema, depth),
            _ => Value::String(text::generate(schema, name, index)),
        }
    }

    fn array(&mut self, schema: &Map<String, Value>, name: &str, depth: usize) -> Value {
        let min = count(schema, "minItems").unwrap_or(0);
        let max = count(schema, "maxItems").unwrap_or(usize::MAX);
        let prefix = schema
            .get("prefixItems")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let usual = if depth >= DEEP { 0 } else { 1 };
        let length = min.max(usual).max(prefix.len()).min(max).min(1000);
        let anything = Value::Bool(true);
        let rest = schema
            .get("items")
            .or_else(|| schema.get("contains"))
            .unwrap_or(&anything);
        let unique = schema
            .get("uniqueItems")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let mut items: Vec<Value> = Vec::new();
        // If an item is a duplicate, the next number is tried.
        for index in 0..length.saturating_mul(4).max(length) {
            if items.len() == length || self.work.is_used_up() {
                break;
            }
            let item = prefix.get(items.len()).unwrap_or(rest);
            if item == &Value::Bool(false) {
                break;
            }
            let value = self.value(item, name, depth + 1, index);
            if !(unique && items.contains(&value)) {
                items.push(value);
            }
        }
        Value::Array(items)
    }

    fn object(&mut self, schema: &Map<String, Value>, depth: usize) -> Value {
        let empty = Map::new();
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let least = count(schema, "minProperties").unwrap_or(0);
        let anything = Value::Bool(true);
        let additional = schema.get("additionalProperties").unwrap_or(&anything);
        let mut members = Map::new();
        for (name, property) in properties {
            if required.contains(&name.as_str()) {
                members.insert(name.clone(), self.value(property, name, depth + 1, 0));
            } else if let Some(value) = self.mentioned(property, name, depth) {
                members.insert(name.clone(), value);
            }
        }
        for name in required {
            if !members.contains_key(name) {
                members.insert(name.to_owned(), self.value(additional, name, depth + 1, 0));
            }
        }
        for (name, property) in properties {
            if members.len() < least && !members.contains_key(name) {
                members.insert(name.clone(), self.value(property, name, depth + 1, 0));
            }
        }
        for index in 1..=least.min(1000) {
            if members.len() < least && additional != &Value::Bool(false) {
                members.insert(
                    format!("property{index}"),
                    self.value(additional, "value", depth + 1, index),
                );
            }
        }
        Value::Object(members)
    }

    /// Returns a value for an optional property, if the prompt has one.
    fn mentioned(&mut self, property: &Value, name: &str, depth: usize) -> Option<Value> {
        if depth >= DEEP {
            return None;
        }
        let options = merged(property, self.root, &self.work);
        let option = options.first()?;
        let (root, work) = (self.root, &self.work);
        let found = self
            .hints
            .candidates(name, option)
            .into_iter()
            .find(|value| fits(value, property, root, work))?;
        self.hints.used(&found);
        Some(found)
    }
}

/// Returns the type that a schema requires, or that its keywords suggest.
pub(super) fn kind(schema: &Map<String, Value>) -> &str {
    let has = |names: &[&str]| names.iter().any(|name| schema.contains_key(*name));
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => kinds
            .iter()
            .filter_map(Value::as_str)
            .find(|kind| *kind != "null")
            .unwrap_or("null"),
        _ if has(&[
            "properties",
            "required",
            "minProperties",
            "patternProperties",
        ]) =>
        {
            "object"
        }
        _ if has(&[
            "items",
            "prefixItems",
            "minItems",
            "uniqueItems",
            "contains",
        ]) =>
        {
            "array"
        }
        _ if has(&[
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
        ]) =>
        {
            "number"
        }
        _ => "string",
    }
}
