//! Defines codecs of values of any structure: JSON text, which is passed through unchanged, and
//! `google.protobuf.Struct`, which the API also accepts for convenience.

use prost_types::{ListValue, Struct, value::Kind};

use super::{Decoder, Encoder, presence::Presence};
use crate::translate::{
    Error,
    json::{MAX_DEPTH, Position, Reader},
};

/// A field that contains JSON text. Its name in the proto ends in `_json`.
pub(crate) struct Json;

impl Json {
    pub(crate) const PRESENCE: Presence = Presence::Optional;

    pub(crate) fn write(
        field: &Option<String>,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Position<'_>,
    ) {
        if let Some(text) = field {
            out.json.key(name);
            out.json_text(text, &format!("{name}Json"), &at.member(name));
        }
    }

    pub(crate) fn read(
        field: &mut Option<String>,
        from: &mut Decoder<'_>,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        *field = read_text(from, at)?;
        Ok(())
    }
}

/// A oneof of JSON text and a Struct.
pub(crate) trait JsonOneof: Sized {
    fn write(&self, out: &mut Encoder<'_>, at: &Position<'_>);

    fn from_text(text: String) -> Self;
}

/// A field that is a [`JsonOneof`].
pub(crate) struct JsonOrStruct;

impl JsonOrStruct {
    pub(crate) const PRESENCE: Presence = Presence::Optional;

    pub(crate) fn write<J: JsonOneof>(
        field: &Option<J>,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Position<'_>,
    ) {
        if field.is_none() {
            out.object_for_raw(name, &at.member(name));
        }
        if let Some(value) = field {
            out.json.key(name);
            value.write(out, &at.member(name));
        }
    }

    pub(crate) fn read<J: JsonOneof>(
        field: &mut Option<J>,
        from: &mut Decoder<'_>,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        *field = read_text(from, at)?.map(J::from_text);
        Ok(())
    }
}

/// `json_oneof!(module::Oneof { Text: "field", Struct: "field" })` implements [`JsonOneof`]. Error
/// messages use the proto's field names.
macro_rules! json_oneof {
    ($module:ident :: $oneof:ident { $text:ident : $text_field:literal, $struct:ident : $struct_field:literal }) => {
        impl $crate::translate::table::JsonOneof for $crate::pb::$module::$oneof {
            fn write(
                &self,
                out: &mut $crate::translate::table::Encoder<'_>,
                at: &$crate::translate::json::Position<'_>,
            ) {
                match self {
                    Self::$text(text) => out.json_text(text, $text_field, at),
                    Self::$struct(value) => out.json_struct(value, $struct_field, at),
                }
            }

            fn from_text(text: String) -> Self {
                Self::$text(text)
            }
        }
    };
}
pub(crate) use json_oneof;

fn read_text(from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Option<String>, Error> {
    if from.null(at)? {
        return Ok(None);
    }
    let text = from.read(at, Reader::skip)?;
    Ok(Some(text.to_owned()))
}

impl Encoder<'_> {
    /// Writes a Struct as JSON. Keys are sorted, and integers have no decimal point.
    pub(crate) fn json_struct(&mut self, value: &Struct, field: &str, at: &Position<'_>) {
        let start = self.json.len();
        if let Err(problem) = self.object(value, MAX_DEPTH) {
            self.json.truncate(start);
            self.json.null();
            self.violation(at.sibling(field).field(), problem);
        }
    }

    fn object(&mut self, value: &Struct, levels: u32) -> Result<(), String> {
        let levels = one_less(levels)?;
        self.json.begin_object();
        // The fields of a Struct are already sorted by key.
        for (key, value) in &value.fields {
            self.json.key(key);
            self.value(value, levels)?;
        }
        self.json.end_object();
        Ok(())
    }

    fn list(&mut self, value: &ListValue, levels: u32) -> Result<(), String> {
        let levels = one_less(levels)?;
        self.json.begin_array();
        for value in &value.values {
            self.json.element();
            self.value(value, levels)?;
        }
        self.json.end_array();
        Ok(())
    }

    fn value(&mut self, value: &prost_types::Value, levels: u32) -> Result<(), String> {
        match &value.kind {
            Some(Kind::StructValue(value)) => self.object(value, levels)?,
            Some(Kind::ListValue(value)) => self.list(value, levels)?,
            Some(Kind::StringValue(text)) => self.json.string(text),
            Some(Kind::BoolValue(value)) => self.json.boolean(*value),
            Some(Kind::NumberValue(value)) if value.is_finite() => self.json.number(*value),
            Some(Kind::NumberValue(value)) => {
                return Err(format!(
                    "JSON cannot express the number {value}: use a finite number"
                ));
            }
            Some(Kind::NullValue(_)) => self.json.null(),
            None => return Err("a Value in the Struct has no kind: set one".to_owned()),
        }
        Ok(())
    }
}

fn one_less(levels: u32) -> Result<u32, String> {
    let deeper = levels.checked_sub(1);
    deeper.ok_or_else(|| format!("is nested more than {MAX_DEPTH} levels deep"))
}
