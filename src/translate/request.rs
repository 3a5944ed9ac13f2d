//! Translates requests between [`ConverseInput`](pb::ConverseInput) and the body of Bedrock's
//! Converse and ConverseStream.

use std::collections::HashSet;

use bytes::Bytes;
use prost::Message as _;

use super::{
    Error,
    json::{MAX_DEPTH, Position},
    raw::{self, Json},
    table::{BadJson, Decoder, Encoder, Mode, Value},
};
use crate::{bounds::Stop, error::Violation, pb};

/// Returns the exact body that is sent to Bedrock.
///
/// Equal inputs result in equal bodies. Members have a fixed order. It begins with the members that
/// prompt caches compare: `toolConfig`, `system`, `messages`. Maps are sorted by key, JSON text is
/// kept byte for byte, and numbers have their shortest form. Raw members are inserted last, in
/// order.
///
/// # Errors
///
/// Returns the fields that cannot be written as JSON, at most
/// [`MAX_VIOLATIONS`](crate::error::MAX_VIOLATIONS): text that is not JSON, numbers that are not
/// finite, enum values without a name, raw members without a parent. Values that JSON can express
/// are not errors here, even if Bedrock rejects them.
pub fn to_converse(input: &pb::ConverseInput) -> Result<Bytes, Vec<Violation>> {
    let size = input.encoded_len();
    // Base64 turns three bytes into four, so half of the size is added as a reserve.
    let out = Encoder::new(size + size / 2 + 64, &input.raw_members, BadJson::Refuse);
    body(input, out, Json::Unknown).map(Bytes::from)
}

/// Returns the body for a validated input, whose JSON text is not checked again. `capacity` is the
/// approximate length of the body, in bytes.
///
/// If `stop` is set during the call, the result must not be used.
///
/// # Errors
///
/// Fails for the same reasons as [`to_converse`], except for text that is not JSON.
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
    input.write(&mut out, &Position::ROOT);
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

/// Parses the body of a Converse request.
///
/// Nothing is lost. A member becomes a raw member if the proto has no field for it, or if the field
/// cannot distinguish the value from absence (empty lists and maps). So [`to_converse`] returns the
/// same JSON value. Null means absence. Unpaired surrogates become U+FFFD, because text cannot
/// contain them.
///
/// # Errors
///
/// Returns the first error: a value of the wrong type, a missing required member, or text that is
/// not JSON.
pub fn from_converse(body: &[u8]) -> Result<pb::ConverseInput, Error> {
    let mut from = Decoder::new(body, Mode::Request)?;
    let mut input = pb::ConverseInput::read(&mut from, &Position::ROOT)?.unwrap_or_default();
    input.raw_members = from.finish()?;
    let mut pointers = HashSet::new();
    for member in &input.raw_members {
        if !pointers.insert(&member.pointer) {
            let problem = format!("{} appears twice; remove one", member.pointer);
            return Err(Error::new(&Position::ROOT, problem));
        }
    }
    Ok(input)
}
