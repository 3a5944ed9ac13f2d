//! Writes JSON, and reads it again with serde_json and with the gateway's reader.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{
    input::Input,
    values::{is_json, parsed},
};
use crate::{
    bounds::Stop,
    translate::json::{self, NotJson, Writer},
};

/// The maximum number of levels. serde_json reads at most 127.
const DEPTH: usize = 100;

/// The input is a program: what to write, step by step.
pub fn json_writer(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let mut writer = Writer::default();
    let expected = value(&mut input, &mut writer, 0);
    let length = writer.len();
    let written = writer.into_bytes();
    assert_eq!(written.len(), length);
    let text = std::str::from_utf8(&written).expect("UTF-8");
    // Text of the input can nest up to the maximum depth, including the values around it.
    let checked = json::check_until(text, &Stop::never());
    assert!(matches!(checked, Ok(()) | Err(NotJson::TooDeep)), "{text}");
    match (parsed(text), expected) {
        // The input is valid JSON that serde_json's values cannot represent.
        (None, _) => assert!(is_json(text), "{text}"),
        (Some(value), expected) => assert_eq!(Some(value), expected, "{text}"),
    }
}

/// Writes one value. Returns it if serde_json can represent it.
fn value(input: &mut Input<'_>, writer: &mut Writer, depth: usize) -> Option<Value> {
    match input.byte() % 9 {
        0 => {
            writer.null();
            Some(Value::Null)
        }
        1 => {
            let boolean = input.byte().is_multiple_of(2);
            writer.boolean(boolean);
            Some(boolean.into())
        }
        2 => {
            let number = input.number().cast_signed();
            writer.integer(number);
            Some(number.into())
        }
        3 => {
            let number = f64::from_bits(input.number());
            let mut alone = Writer::default();
            alone.number(number);
            let text = alone.into_string();
            writer.raw(&text);
            // The decimal denotes the same number, and JSON has no other numbers than finite ones.
            if number.is_finite() {
                assert_eq!(text.parse(), Ok(number), "{text}");
            } else {
                assert_eq!(text, "null");
            }
            parsed(&text)
        }
        4 => {
            let text = input.text();
            writer.string(&text);
            Some(text.into())
        }
        5 => {
            let bytes = input.until_zero();
            writer.base64(bytes);
            Some(STANDARD.encode(bytes).into())
        }
        6 => {
            let text = input.text();
            writer.raw_or_string(&text);
            // The reader has a separate target.
            if json::check(&text).is_ok() {
                parsed(&text)
            } else {
                Some(text.into())
            }
        }
        7 if depth < DEPTH => {
            let mut items = Some(Vec::new());
            writer.begin_array();
            while more(input) {
                writer.element();
                let item = value(input, writer, depth + 1);
                items = items.zip(item).map(|(mut items, item)| {
                    items.push(item);
                    items
                });
            }
            writer.end_array();
            items.map(Value::Array)
        }
        8 if depth < DEPTH => {
            let mut members = Some(Map::new());
            writer.begin_object();
            while more(input) {
                let name = input.text();
                writer.key(&name);
                let member = value(input, writer, depth + 1);
                members = members.zip(member).map(|(mut members, member)| {
                    members.insert(name, member);
                    members
                });
            }
            writer.end_object();
            members.map(Value::Object)
        }
        _ => {
            writer.raw("[]");
            Some(Value::Array(Vec::new()))
        }
    }
}

/// Returns whether an array or object has another value.
fn more(input: &mut Input<'_>) -> bool {
    !input.is_empty() && !input.byte().is_multiple_of(4)
}
