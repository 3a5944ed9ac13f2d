//! Reads JSON without a tree, and compares with serde_json.

use serde_json::{Map, Value};

use super::values::{is_json, parsed};
use crate::{
    bounds::Stop,
    translate::{
        json::{self, MAX_DEPTH, NotJson, Reader, Syntax, ValueKind},
        visit_json,
    },
};

/// The input is the text.
pub fn json_reader(bytes: &[u8]) {
    let text = match (std::str::from_utf8(bytes), Reader::new(bytes)) {
        (Ok(text), Ok(_)) => text,
        (Err(error), Err(syntax)) => {
            assert_eq!(syntax.at, error.valid_up_to());
            return;
        }
        (utf8, reader) => unreachable!("{utf8:?}, but {:?}", reader.err()),
    };
    let checked = json::check_until(text, &Stop::never());
    match checked {
        Ok(()) => assert!(is_json(text), "serde_json refuses the text"),
        // serde_json has no limit here.
        Err(NotJson::TooDeep) => return,
        Err(NotJson::Malformed { at, .. }) => {
            assert!(!is_json(text), "serde_json accepts the text");
            assert!(at <= text.len());
            return;
        }
        Err(NotJson::Stopped) => unreachable!("nothing stopped the check"),
    }

    // Skipping a value returns its text.
    let mut reader = Reader::with_limit(text, MAX_DEPTH);
    let skipped = reader.skip().expect("the text was checked");
    assert_eq!(skipped, text.trim_matches(WHITE));
    reader.end().expect("the text was checked");

    // All values are those that serde_json reads.
    if let Some(expected) = parsed(text) {
        let mut reader = Reader::with_limit(text, MAX_DEPTH);
        let value = read(&mut reader).expect("the text was checked");
        assert_eq!(value, expected);

        let mut seen = 0;
        visit_json::visit(text, "", &mut |_, _| seen += 1);
        // Members with the same name are visited separately.
        assert!(seen >= count(&expected), "{seen} of {}", count(&expected));
    }
}

/// The white space of JSON.
const WHITE: [char; 4] = [' ', '\t', '\n', '\r'];

fn read(reader: &mut Reader<'_>) -> Result<Value, Syntax> {
    Ok(match reader.peek()? {
        ValueKind::Object => {
            let mut members = Map::new();
            reader.enter_object()?;
            let mut first = true;
            while let Some(name) = reader.member(&mut first)? {
                members.insert(name.into_owned(), read(reader)?);
            }
            Value::Object(members)
        }
        ValueKind::Array => {
            let mut items = Vec::new();
            reader.enter_array()?;
            let mut first = true;
            while reader.element(&mut first)? {
                items.push(read(reader)?);
            }
            Value::Array(items)
        }
        ValueKind::String => {
            let (text, unpaired) = reader.string_and_unpaired()?;
            assert!(unpaired.is_empty(), "serde_json accepted the text");
            Value::String(text.into_owned())
        }
        ValueKind::Number => {
            let number = reader.number()?;
            serde_json::from_str(number).expect("a number")
        }
        ValueKind::Boolean => Value::Bool(reader.boolean()?),
        ValueKind::Null => {
            reader.null()?;
            Value::Null
        }
    })
}

/// Returns the number of values in a value, including itself.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}
