//! Visits the values in JSON that callers write: in raw members, and in the fields for the model's
//! native parameters.

use std::rc::Rc;

use prost_types::{Struct, Value, value::Kind as StructKind};

use super::json::{MAX_DEPTH, Reader, Syntax, ValueKind};
use crate::pb::converse_input::AdditionalModelRequestFields as Fields;

/// A value in JSON, with the details that visitors need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Leaf<'v> {
    /// A string.
    Text(&'v str),
    /// A number.
    Number(f64),
    /// A boolean.
    Boolean,
    /// Null, which means that the member is absent.
    Null,
    /// An object or an array. The values in it are visited next.
    Nested,
}

/// Calls `visit` for every value in a JSON text, outer values before inner ones. `visit` receives
/// the name of the value's member, as [`plain`] writes it, and the value. For elements of an array,
/// the name is that of the array. For the text as a whole, it is `member`.
///
/// Stops at the first byte that is not JSON. Such a text is rejected before it is sent.
pub(crate) fn visit(json: &str, member: &str, visit: &mut impl FnMut(&str, Leaf<'_>)) {
    let mut reader = Reader::with_limit(json, MAX_DEPTH);
    let _syntax = values(&mut reader, member, visit);
}

/// Visits the values in the fields for the model's native parameters, which are JSON text or a
/// Struct.
pub(crate) fn visit_fields(fields: &Fields, see: &mut impl FnMut(&str, Leaf<'_>)) {
    match fields {
        Fields::AdditionalModelRequestFieldsJson(json) => visit(json, "", see),
        Fields::AdditionalModelRequestFieldsStruct(fields) => structure(fields, see, 0),
    }
}

/// Returns a member's name in lower case, with only letters and digits, so that `max_tokens`,
/// `maxTokens` and `MaxTokens` become equal.
pub(crate) fn plain(name: &str) -> String {
    let plain = name.chars().filter(char::is_ascii_alphanumeric);
    plain.map(|c| c.to_ascii_lowercase()).collect()
}

/// Returns the steps of a JSON Pointer, each converted by [`plain`].
pub(crate) fn steps(pointer: &str) -> Vec<String> {
    let steps = pointer.split('/').skip(1);
    steps
        .map(|step| plain(&step.replace("~1", "/").replace("~0", "~")))
        .collect()
}

/// An object or an array whose end has not been read yet.
struct Level {
    /// The name of its member in the parent.
    name: Rc<str>,
    is_object: bool,
    /// Whether its first item has not been read yet.
    first: bool,
}

/// Visits a value and the values in it, without recursion. Each name is converted only once, even
/// if many elements have it.
fn values(
    reader: &mut Reader<'_>,
    member: &str,
    visit: &mut impl FnMut(&str, Leaf<'_>),
) -> Result<(), Syntax> {
    let mut open: Vec<Level> = Vec::new();
    let mut name: Rc<str> = plain(member).into();
    loop {
        match reader.peek()? {
            kind @ (ValueKind::Object | ValueKind::Array) => {
                visit(&name, Leaf::Nested);
                let is_object = kind == ValueKind::Object;
                if is_object {
                    reader.enter_object()?;
                } else {
                    reader.enter_array()?;
                }
                open.push(Level {
                    name: Rc::clone(&name),
                    is_object,
                    first: true,
                });
            }
            ValueKind::String => visit(&name, Leaf::Text(&reader.string()?)),
            ValueKind::Number => {
                let number = reader.number()?.parse();
                visit(&name, Leaf::Number(number.unwrap_or(f64::NAN)));
            }
            ValueKind::Boolean => {
                reader.boolean()?;
                visit(&name, Leaf::Boolean);
            }
            ValueKind::Null => {
                reader.null()?;
                visit(&name, Leaf::Null);
            }
        }
        match next(reader, &mut open)? {
            Some(following) => name = following,
            None => return Ok(()),
        }
    }
}

/// Returns the JSON Pointer of the value that [`visit`] visits at position `index`, counted from 0.
/// Empty if there is no such value.
pub(crate) fn pointer(json: &str, index: usize) -> String {
    let mut reader = Reader::with_limit(json, MAX_DEPTH);
    walk(&mut reader, index).unwrap_or_default()
}

/// Returns a member's name, escaped as a step of a JSON Pointer.
pub(crate) fn step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// An object or an array that contains the value.
struct Around {
    is_object: bool,
    first: bool,
    /// For an array, the number of elements so far.
    items: usize,
    step: String,
}

fn walk(reader: &mut Reader<'_>, index: usize) -> Result<String, Syntax> {
    let mut around: Vec<Around> = Vec::new();
    let mut visited = 0;
    loop {
        let kind = reader.peek()?;
        if visited == index {
            return Ok(around.iter().map(|level| level.step.as_str()).collect());
        }
        visited += 1;
        let is_object = kind == ValueKind::Object;
        if is_object || kind == ValueKind::Array {
            if is_object {
                reader.enter_object()?;
            } else {
                reader.enter_array()?;
            }
            around.push(Around {
                is_object,
                first: true,
                items: 0,
                step: String::new(),
            });
        } else {
            reader.skip()?;
        }
        loop {
            let Some(level) = around.last_mut() else {
                return Ok(String::new());
            };
            if level.is_object {
                if let Some(name) = reader.member(&mut level.first)? {
                    level.step = step(&name);
                    break;
                }
            } else if reader.element(&mut level.first)? {
                level.step = format!("/{}", level.items);
                level.items += 1;
                break;
            }
            around.pop();
        }
    }
}

/// Moves to the next value and returns its name. `None` if there is no further value.
fn next(reader: &mut Reader<'_>, open: &mut Vec<Level>) -> Result<Option<Rc<str>>, Syntax> {
    while let Some(level) = open.last_mut() {
        if level.is_object {
            if let Some(name) = reader.member(&mut level.first)? {
                return Ok(Some(plain(&name).into()));
            }
        } else if reader.element(&mut level.first)? {
            return Ok(Some(Rc::clone(&level.name)));
        }
        open.pop();
    }
    Ok(None)
}

fn structure(fields: &Struct, visit: &mut impl FnMut(&str, Leaf<'_>), depth: u32) {
    for (name, value) in &fields.fields {
        struct_value(value, &plain(name), visit, depth);
    }
}

fn struct_value(value: &Value, member: &str, visit: &mut impl FnMut(&str, Leaf<'_>), depth: u32) {
    match &value.kind {
        None | Some(StructKind::NullValue(_)) => visit(member, Leaf::Null),
        Some(StructKind::BoolValue(_)) => visit(member, Leaf::Boolean),
        Some(StructKind::NumberValue(number)) => visit(member, Leaf::Number(*number)),
        Some(StructKind::StringValue(text)) => visit(member, Leaf::Text(text)),
        // Validation rejects values that nest deeper.
        Some(_) if depth >= MAX_DEPTH => {}
        Some(StructKind::StructValue(fields)) => {
            visit(member, Leaf::Nested);
            structure(fields, visit, depth + 1);
        }
        Some(StructKind::ListValue(list)) => {
            visit(member, Leaf::Nested);
            for value in &list.values {
                struct_value(value, member, visit, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(json: &str) -> Vec<String> {
        let mut seen = Vec::new();
        visit(json, "root", &mut |name, leaf| {
            seen.push(format!("{name} {leaf:?}"))
        });
        seen
    }

    #[test]
    fn names_have_one_spelling() {
        assert_eq!(
            steps("/additional_Model~1Request~0Fields/0/max-Tokens/-"),
            ["additionalmodelrequestfields", "0", "maxtokens", ""]
        );
        assert!(steps("").is_empty());
    }

    #[test]
    fn every_value_is_seen_with_the_name_of_its_member() {
        assert_eq!(
            seen(r#"{"A_":[1,{"\u0062":"s3:\/\/x"},[null]],"a":true}"#),
            [
                "root Nested",
                "a Nested",
                "a Number(1.0)",
                "a Nested",
                r#"b Text("s3://x")"#,
                "a Nested",
                "a Null",
                "a Boolean",
            ]
        );
        assert_eq!(seen("\"x\""), [r#"root Text("x")"#]);
        assert_eq!(seen("{\"a\":"), ["root Nested"]);
    }

    #[test]
    fn each_visited_value_has_its_pointer() {
        let json = r#"{"a/b":[1,{"~":"x"},[]],"c":{}}"#;
        let pointers = [
            "",
            "/a~1b",
            "/a~1b/0",
            "/a~1b/1",
            "/a~1b/1/~0",
            "/a~1b/2",
            "/c",
        ];
        assert_eq!(seen(json).len(), pointers.len());
        for (index, expected) in pointers.into_iter().enumerate() {
            assert_eq!(pointer(json, index), expected);
        }
        assert_eq!(pointer(json, 99), "");
    }

    #[test]
    fn deep_values_are_visited_without_recursion() {
        let json = format!("{}1{}", "{\"a\":[".repeat(500), "]}".repeat(500));
        let seen = seen(&json);
        assert_eq!(seen.len(), 1_001);
        assert_eq!(seen.last().unwrap(), "a Number(1.0)");
    }
}
