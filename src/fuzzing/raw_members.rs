//! Inserts raw members into JSON, and compares with a simple model on serde_json's values.

use serde_json::Value;

use super::{
    input::Input,
    values::{is_json, parsed},
};
use crate::{
    pb::RawMember,
    translate::{
        json::MAX_DEPTH,
        raw::{self, Json},
    },
};

/// The input is texts that are separated by zero bytes: the JSON, and then a pointer and a value
/// for each raw member.
pub fn raw_members(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Some(body) = parsed(&input.text()) else {
        return;
    };
    let mut members = Vec::new();
    while !input.is_empty() {
        let (pointer, json) = (input.text(), input.text());
        members.push(RawMember { pointer, json });
    }
    // serde_json writes each name once.
    let text = body.to_string();
    let (merged, problems) = raw::merge(text.clone(), &members, MAX_DEPTH, Json::Unknown);
    assert!(is_json(&merged), "{merged}");

    // serde_json cannot represent some values, such as numbers beyond f64.
    if members
        .iter()
        .any(|member| is_json(&member.json) && parsed(&member.json).is_none())
    {
        return;
    }

    // Each member is inserted, or has a problem and changes nothing. The numbers are parsed from
    // this text, because serde_json may round the same decimal in another text to a different
    // float.
    let Some(mut expected) = parsed(&text) else {
        return;
    };
    let mut refused = Vec::new();
    for (index, member) in members.iter().enumerate() {
        if insert(&mut expected, member).is_none() {
            refused.push(index);
        }
    }
    if let Some(merged) = parsed(&merged) {
        assert_eq!(merged, expected, "{text} with {members:?}");
    }
    let found: Vec<_> = problems.kept.iter().map(|problem| problem.index).collect();
    assert_eq!(found.len() + problems.left_out, refused.len());
    if problems.left_out == 0 {
        assert_eq!(found, refused, "{text} with {members:?}");
    }
    for problem in &problems.kept {
        assert!(!problem.description.is_empty() && !problem.field.is_empty());
    }
    // What is already there stays, byte for byte.
    if problems.kept.len() == members.len() {
        assert_eq!(merged, text);
    }

    // If the members were checked before, the result is the same.
    if problems.kept.is_empty() {
        let (again, _) = raw::merge(text, &members, MAX_DEPTH, Json::Checked);
        assert_eq!(again, merged);
    }
}

/// Inserts a member into a value. `None` if that is not possible.
fn insert(body: &mut Value, member: &RawMember) -> Option<()> {
    let value = parsed(&member.json)?;
    let steps = member.pointer.strip_prefix('/')?;
    if steps.split('/').count() > 64 {
        return None;
    }
    let mut steps: Vec<_> = steps.split('/').map(step).collect::<Option<_>>()?;
    let last = steps.pop()?;
    let mut parent = body;
    for step in steps {
        parent = match parent {
            Value::Object(members) => members.get_mut(&step)?,
            Value::Array(items) => items.get_mut(index(&step)?)?,
            _ => return None,
        };
    }
    match parent {
        Value::Object(members) if !members.contains_key(&last) => {
            members.insert(last, value);
        }
        Value::Array(items) if last == "-" || index(&last) == Some(items.len()) => {
            items.push(value);
        }
        _ => return None,
    }
    Some(())
}

/// Returns a step without its escapes. `None` if an escape is unknown.
fn step(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('~');
    let mut step = parts.next()?.to_owned();
    for part in parts {
        let rest = match part.strip_prefix('0') {
            Some(rest) => {
                step.push('~');
                rest
            }
            None => {
                step.push('/');
                part.strip_prefix('1')?
            }
        };
        step.push_str(rest);
    }
    Some(step)
}

/// Returns an index of an array: digits without leading zeros.
fn index(step: &str) -> Option<usize> {
    let is_index = step == "0" || !step.starts_with('0') && !step.starts_with('+');
    step.parse().ok().filter(|_| is_index)
}
