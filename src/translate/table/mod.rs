//! Macros that define one table for each message: [`object!`], [`union!`], [`plain_list!`] and
//! [`words!`]. Each table provides both the reader and the writer.
//! A row of an [`object!`] is `"member" => field: Codec`. The codec is one of [`codec`] and defines
//! how the field's value and its absence appear in JSON. [`Value`] reads and writes values of each
//! type. Members without a row, and enum values without a name, are kept as raw members.

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
