//! Finds the violations of a request against its [`Shape`].

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{Member, Shape, Size, Text};

/// The violations in a request whose JSON has the right types.
#[derive(Default)]
pub(super) struct Findings {
    constraints: Vec<String>,
    unions: Vec<String>,
}

impl Findings {
    /// Returns the error message. It lists all violated constraints or, if there are none, the
    /// first union that does not have exactly one member.
    pub(super) fn into_message(self) -> Option<String> {
        match self.constraints.len() {
            0 => self.unions.into_iter().next(),
            count => Some(format!(
                "{count} validation error{} detected: {}",
                if count == 1 { "" } else { "s" },
                self.constraints.join("; ")
            )),
        }
    }

    fn breaks(&mut self, shown: &str, path: &str, constraint: &str) {
        self.constraints.push(format!(
            "Value{shown} at '{path}' failed to satisfy constraint: {constraint}"
        ));
    }
}

/// The position of a value, in the two notations that the service uses: `messages.1.member.content`
/// and `messages.0.content`.
#[derive(Clone, Default)]
struct Place {
    member: String,
    index: String,
}

impl Place {
    fn name(&self, name: &str) -> Self {
        let join = |path: &str| match path {
            "" => name.to_owned(),
            _ => format!("{path}.{name}"),
        };
        Self {
            member: join(&self.member),
            index: join(&self.index),
        }
    }

    fn item(&self, index: usize) -> Self {
        Self {
            member: format!("{}.{}.member", self.member, index + 1),
            index: format!("{}.{index}", self.index),
        }
    }
}

/// Collects the violations in a body.
///
/// For a value of the wrong type, returns the message of a `SerializationException`. The service's
/// message does not name the field, but the emulator adds it.
pub(super) fn walk(request: &Value, shape: &Shape, findings: &mut Findings) -> Result<(), String> {
    value(request, shape, &Place::default(), findings)
}

fn value(
    value: &Value,
    shape: &Shape,
    place: &Place,
    findings: &mut Findings,
) -> Result<(), String> {
    let mistyped = |expected| mistyped(value, expected, place);
    match shape {
        Shape::Document => {}
        Shape::Boolean => {
            value.as_bool().ok_or_else(|| mistyped("Boolean"))?;
        }
        Shape::Integer(min) => {
            let number = integer(value).ok_or_else(|| mistyped("Integer"))?;
            if number < *min {
                let rule = format!("Member must have value greater than or equal to {min}");
                findings.breaks(&format!(" '{number}'"), &place.member, &rule);
            }
        }
        Shape::Float(min, max) => {
            let number = float(value).ok_or_else(|| mistyped("Float"))?;
            let shown = format!(" '{number}'");
            if number > *max || number.is_nan() {
                let rule = format!("Member must have value less than or equal to {max}");
                findings.breaks(&shown, &place.member, &rule);
            } else if number < *min {
                let rule = format!("Member must have value greater than or equal to {min}");
                findings.breaks(&shown, &place.member, &rule);
            }
        }
        Shape::String(text) => {
            let content = value.as_str().ok_or_else(|| mistyped("String"))?;
            string(&place.member, content, text, findings);
        }
        Shape::Blob => {
            let content = value.as_str().ok_or_else(|| mistyped("Blob"))?;
            if content.is_empty() {
                findings.breaks("", &place.member, &at_least(1));
            } else if STANDARD.decode(content).is_err() {
                return Err(format!(
                    "The value is not valid base64 (at {})",
                    place.index
                ));
            }
        }
        Shape::Structure(members) => {
            let object = value.as_object().ok_or_else(|| mistyped("Structure"))?;
            structure(object, members, place, findings)?;
        }
        Shape::Union(name, members) => {
            let object = value.as_object().ok_or_else(|| mistyped("Structure"))?;
            structure(object, members, place, findings)?;
            union(object, name, members, place, findings);
        }
        Shape::List(item, size) => {
            let items = value.as_array().ok_or_else(|| mistyped("List"))?;
            count(items.len(), size, place, findings);
            for (index, entry) in items.iter().enumerate() {
                self::value(entry, item, &place.item(index), findings)?;
            }
        }
        Shape::Map(key, item, size) => {
            let entries = value.as_object().ok_or_else(|| mistyped("Map"))?;
            count(entries.len(), size, place, findings);
            map(entries, key, item, place, findings)?;
        }
    }
    Ok(())
}

fn structure(
    object: &Map<String, Value>,
    members: &[Member],
    place: &Place,
    findings: &mut Findings,
) -> Result<(), String> {
    for member in members {
        let place = place.name(member.name);
        match object.get(member.name).filter(|value| !value.is_null()) {
            Some(content) => value(content, member.shape, &place, findings)?,
            None if member.required => {
                findings.breaks(" null", &place.member, "Member must not be null")
            }
            None => {}
        }
    }
    Ok(())
}

fn union(
    object: &Map<String, Value>,
    name: &str,
    members: &[Member],
    place: &Place,
    findings: &mut Findings,
) {
    let set = |member: &&Member| {
        object
            .get(member.name)
            .is_some_and(|value| !value.is_null())
    };
    let how = match members.iter().filter(set).count() {
        0 => "must set",
        1 => return,
        _ => "can only set",
    };
    let keys: Vec<&str> = members.iter().map(|member| member.name).collect();
    findings.unions.push(format!(
        "{name} object at {} {how} one of the following keys: {}.",
        place.index,
        keys.join(", ")
    ));
}

fn map(
    entries: &Map<String, Value>,
    key: &Text,
    item: &Shape,
    place: &Place,
    findings: &mut Findings,
) -> Result<(), String> {
    for (name, entry) in entries {
        let broken = broken(name, key);
        if !broken.is_empty() {
            let rule = format!("Map keys must satisfy constraint: [{}]", broken.join(", "));
            findings.breaks("", &place.member, &rule);
        }
        if let (Shape::String(text), Some(content)) = (item, entry.as_str()) {
            let broken = self::broken(content, text);
            if !broken.is_empty() {
                let rule = format!("Map value must satisfy constraint: [{}]", broken.join(", "));
                findings.breaks("", &place.member, &rule);
            }
        } else {
            value(entry, item, &place.name(name), findings)?;
        }
    }
    Ok(())
}

fn count(length: usize, Size(min, max): &Size, place: &Place, findings: &mut Findings) {
    if length < *min {
        findings.breaks("", &place.member, &at_least(*min));
    }
    if length > *max {
        findings.breaks("", &place.member, &at_most(*max));
    }
}

/// Collects the violations of a string.
pub(super) fn string(path: &str, content: &str, text: &Text, findings: &mut Findings) {
    for rule in broken(content, text) {
        findings.breaks(&format!(" '{}'", shown(content)), path, &rule);
    }
}

/// Returns the constraints that a string violates, in the service's order: enum, pattern, length.
fn broken(content: &str, text: &Text) -> Vec<String> {
    let mut rules = Vec::new();
    if !text.values.is_empty() && !text.values.contains(&content) {
        rules.push(format!(
            "Member must satisfy enum value set: [{}]",
            text.values.join(", ")
        ));
    }
    if let Some(pattern) = &text.pattern
        && !(pattern.matches)(content)
    {
        rules.push(format!(
            "Member must satisfy regular expression pattern: {}",
            pattern.regex
        ));
    }
    let Size(min, max) = text.length;
    let length = content.chars().count();
    if length > max {
        rules.push(at_most(max));
    }
    if length < min {
        rules.push(at_least(min));
    }
    rules
}

fn at_least(min: usize) -> String {
    format!("Member must have length greater than or equal to {min}")
}

fn at_most(max: usize) -> String {
    format!("Member must have length less than or equal to {max}")
}

/// Returns the value as an error shows it. It is truncated so that it fits into a log line.
fn shown(content: &str) -> String {
    const LONGEST: usize = 256;
    match content.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", content.get(..end).unwrap_or_default()),
        None => content.to_owned(),
    }
}

/// Returns a 32-bit integer, even if it is written as `10.0`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the guard lets only whole numbers of 32 bits through"
)]
fn integer(value: &Value) -> Option<i64> {
    let number = value.as_f64()?;
    (number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX)).then_some(number as i64)
}

/// Returns a number. Also accepts the strings for numbers that JSON cannot express, such as NaN.
fn float(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => value.as_f64(),
    }
}

fn mistyped(value: &Value, expected: &str, place: &Place) -> String {
    let place = match place.index.as_str() {
        "" => "the body",
        index => index,
    };
    let article = if expected == "Integer" { "an" } else { "a" };
    match value {
        Value::Object(_) => format!(
            "Start of structure or map found where not expected. (at {place}, which is {article} {expected})"
        ),
        Value::Array(_) => format!(
            "Start of list found where not expected. (at {place}, which is {article} {expected})"
        ),
        scalar => {
            let found = match scalar {
                Value::String(_) => "STRING_VALUE",
                Value::Number(_) => "NUMBER_VALUE",
                Value::Bool(true) => "TRUE_VALUE",
                Value::Bool(false) => "FALSE_VALUE",
                _ => "NULL_VALUE",
            };
            format!("{found} can not be converted to {article} {expected} (at {place})")
        }
    }
}
