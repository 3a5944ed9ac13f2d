//! Requests: [`ConverseInput`](pb::ConverseInput) and the body of Bedrock's Converse and
//! ConverseStream.

use std::collections::HashSet;

use bytes::Bytes;
use prost::Message as _;

use super::{
    Error,
    json::{MAX_DEPTH, Place},
    raw,
    table::{BadJson, Decoder, Encoder, Mode, Value},
};
use crate::{error::Violation, pb};

/// The exact body that is sent to Bedrock.
///
/// The same input gives the same bytes: members have a fixed order (`toolConfig`, `system`,
/// `messages`, as prompt caches match them, then the others), maps are sorted by key, JSON text is
/// kept byte for byte, numbers are the shortest that denote the same value. Raw members are
/// inserted last, in order.
///
/// # Errors
///
/// Returns all fields that have no form in JSON: text that is not JSON, numbers that are not
/// finite, unknown enum values, raw members without a place. What JSON can express but Bedrock
/// would reject is not an error here.
pub fn to_converse(input: &pb::ConverseInput) -> Result<Bytes, Vec<Violation>> {
    let size = input.encoded_len();
    // Base64 turns three bytes into four.
    let mut out = Encoder::new(size + size / 2 + 64, &input.raw_members, BadJson::Refuse);
    input.write(&mut out, &Place::ROOT);
    let (json, mut violations) = out.finish();
    let mut body = json.into_bytes();
    if !input.raw_members.is_empty() {
        let text = String::from_utf8(body).unwrap_or_default();
        let (text, problems) = raw::merge(text, &input.raw_members, MAX_DEPTH);
        body = text.into_bytes();
        violations.extend(problems.into_iter().map(|problem| Violation {
            field: format!("input.raw_members[{}].{}", problem.index, problem.field),
            description: problem.description,
        }));
    }
    if violations.is_empty() {
        Ok(body.into())
    } else {
        Err(violations)
    }
}

/// Returns the input that a request body in Bedrock's JSON contains.
///
/// Nothing is lost: what the proto has no field for, or cannot distinguish from absence (empty
/// lists and maps), becomes a raw member, and [`to_converse`] returns the same JSON value. Null is
/// the same as absence, and halves of surrogate pairs without their other half, which text cannot
/// contain, are replaced by U+FFFD.
///
/// # Errors
///
/// Returns the first error: a value of the wrong type, a missing required member, or text that is
/// not JSON.
pub fn from_converse(body: &[u8]) -> Result<pb::ConverseInput, Error> {
    let mut from = Decoder::new(body, Mode::Request)?;
    let mut input = pb::ConverseInput::read(&mut from, &Place::ROOT)?.unwrap_or_default();
    input.raw_members = from.finish()?;
    let mut pointers = HashSet::new();
    for member in &input.raw_members {
        if !pointers.insert(&member.pointer) {
            let problem = format!("{} is given twice; give it once", member.pointer);
            return Err(Error::new(&Place::ROOT, problem));
        }
    }
    Ok(input)
}
