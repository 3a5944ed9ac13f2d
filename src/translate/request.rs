//! Requests: [`ConverseInput`](pb::ConverseInput) and the body of Bedrock's Converse and ConverseStream.

use bytes::Bytes;
use prost::Message as _;

use super::{
    Error,
    json::Place,
    table::{BadJson, Decoder, Encoder, Mode, Value},
};
use crate::{error::Violation, pb};

/// The exact body that is sent to Bedrock. The same input gives the same bytes.
///
/// # Errors
///
/// All fields that have no form in JSON.
pub fn to_converse(input: &pb::ConverseInput) -> Result<Bytes, Vec<Violation>> {
    let size = input.encoded_len();
    let mut out = Encoder::new(size + size / 2 + 64, &input.raw_members, BadJson::Refuse);
    input.write(&mut out, &Place::ROOT);
    let (body, violations) = out.finish();
    if violations.is_empty() { Ok(body.into()) } else { Err(violations) }
}

/// The input that a request body in Bedrock's JSON says.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn from_converse(body: &[u8]) -> Result<pb::ConverseInput, Error> {
    let mut from = Decoder::new(body, Mode::Request)?;
    let mut input = pb::ConverseInput::read(&mut from, &Place::ROOT)?.unwrap_or_default();
    input.raw_members = from.finish()?;
    Ok(input)
}
