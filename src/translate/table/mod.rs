//! One table for each message, from which both directions follow: [`object!`], [`union!`],
//! [`plain_list!`] and [`words!`].
//!
//! A row of an [`object!`] is `"member" => field: Codec`, where the codec is one of [`codec`]: how
//! the field's value and its absence appear in JSON. Values are [`Value`]s by their type. What has
//! no row in a table, or no name, is kept as a raw member.

pub(crate) mod codec;
mod decoder;
mod encoder;
mod object;
pub(crate) mod presence;
mod structs;
mod union;
mod value;
mod words;

pub(crate) use decoder::{Decoder, Mode};
pub(crate) use encoder::{BadJson, Encoder};
pub(crate) use object::{Object, object, plain_list};
pub(crate) use structs::{Json, JsonOneof, JsonOrStruct, json_oneof};
pub(crate) use union::{Union, read_union, union};
pub(crate) use value::Value;
pub(crate) use words::{Words, words};
