//! Requests: [`ConverseInput`](pb::ConverseInput) and the body of Bedrock's Converse and
//! ConverseStream.

use std::collections::HashSet;

use bytes::Bytes;
use prost::Message as _;

use super::{
    Error,
    json::{MAX_DEPTH, Place},
    raw::{self, Json},
    table::{BadJson, Decoder, Encoder, Mode, Value},
};
use crate::{bounds::Stop, error::Violation, pb};

/// The exact body that is sent to Bedrock.
///
/// The same input gives the same bytes: members have a fixed order (`toolConfig`, `system`,
/// `messages`, as prompt caches match them, then the others), maps are sorted by key, JSON text is
/// kept byte for byte, numbers are the shortest that denote the same value. Raw members are
/// inserted last, in order.
///
/// # Errors
///
/// The fields that have no form in JSON, at most [`MAX_VIOLATIONS`](crate::error::MAX_VIOLATIONS):
/// text that is not JSON, numbers that are not finite, enum values that have no word, raw members
/// without a place. What Bedrock would not take, but JSON can say, is no error here.
pub fn to_converse(input: &pb::ConverseInput) -> Result<Bytes, Vec<Violation>> {
    let size = input.encoded_len();
    // Base64 turns three bytes into four.
    let out = Encoder::new(size + size / 2 + 64, &input.raw_members, BadJson::Refuse);
    body(input, out, Json::Unknown).map(Bytes::from)
}

/// Returns the same for input that was validated: its JSON text is not read again. `capacity` is
/// about how long the body will be.
///
/// When `stop` is set, the result is meaningless.
///
/// # Errors
///
/// As with [`to_converse`], but for JSON text.
pub fn to_converse_of_valid(
    input: &pb::ConverseInput,
    capacity: usize,
    stop: &Stop,
) -> Result<Vec<u8>, Vec<Violation>> {
    let raw = &input.raw_members;
    let out = Encoder::until(stop.clone(), capacity, raw, BadJson::Excluded);
    body(input, out, Json::Checked)
}

fn body<'i>(
    input: &'i pb::ConverseInput,
    mut out: Encoder<'i>,
    json: Json,
) -> Result<Vec<u8>, Vec<Violation>> {
    input.write(&mut out, &Place::ROOT);
    if out.json.is_stopped() {
        return Ok(Vec::new());
    }
    let (written, mut violations) = out.finish();
    let mut body = written.into_bytes();
    if !input.raw_members.is_empty() {
        let text = String::from_utf8(body).unwrap_or_default();
        let (text, problems) = raw::merge(text, &input.raw_members, MAX_DEPTH, json);
        body = text.into_bytes();
        violations.leave_out(problems.left_out);
        for problem in problems.kept {
            violations.add(|| Violation {
                field: format!("input.raw_members[{}].{}", problem.index, problem.field),
                description: problem.description,
            });
        }
    }
    if violations.is_empty() {
        Ok(body)
    } else {
        Err(violations.finish("input"))
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
