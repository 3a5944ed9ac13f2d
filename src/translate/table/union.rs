//! `union!` defines a oneof that is a union in Bedrock's JSON, with one table for both directions.

use super::{Decoder, Encoder};
use crate::translate::{
    Error,
    json::{Position, Reader, ValueKind},
};

/// A oneof that is written as an object with one member. The name of the member is the kind.
pub(crate) trait Union: Sized {
    /// Writes the member into an object that has already been entered.
    fn write(&self, out: &mut Encoder<'_>, at: &Position<'_>);

    /// Reads the value of the member `name`. Returns `None` if no kind has this name, or if the
    /// kind cannot hold the value.
    fn read(name: &str, from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Option<Self>, Error>;
}

/// Reads a complete object of this union. Returns `None` if the value is not an object. An unknown
/// kind, or a second kind, is kept as a raw member.
pub(crate) fn read_union<U: Union>(
    from: &mut Decoder<'_>,
    at: &Position<'_>,
) -> Result<Option<Option<U>>, Error> {
    if !from.is(ValueKind::Object, at)? {
        return Ok(None);
    }
    from.read(at, Reader::enter_object)?;
    let mut union = None;
    let mut first = true;
    while let Some(name) = from.member(&mut first, at)? {
        let at = &at.member(&name);
        if from.null(at)? {
            continue;
        }
        if union.is_none() {
            let mark = from.mark();
            union = U::read(&name, from, at)?;
            if union.is_some() {
                continue;
            }
            from.back_to(mark);
        }
        from.keep(at)?;
    }
    Ok(Some(union))
}

/// `union!(module::Oneof { "member" => Kind, … })` defines a oneof that is a union in Bedrock's
/// JSON. The macro also accepts these optional parts:
/// - `json { "member" => Text: "field", Struct: "field" }`: kinds that are JSON, as text or
///   (optional) as a Struct;
/// - `nothing { Kind, … }`: kinds without a member in Bedrock's JSON, which leave the object empty;
/// - `in Message.field` before the table: the message whose only field is the oneof. In JSON, the
///   union takes the place of the message.
macro_rules! union {
    (
        $module:ident :: $oneof:ident $(in $message:ident . $field:ident)?
        { $($name:literal => $kind:ident),* $(,)? }
        $(json { $json_name:literal => $text:ident : $text_field:literal $(, $struct:ident : $struct_field:literal)? })?
        $(nothing { $($nothing:ident),+ })?
    ) => {
        impl $crate::translate::table::Union for $crate::pb::$module::$oneof {
            fn write(
                &self,
                out: &mut $crate::translate::table::Encoder<'_>,
                at: &$crate::translate::json::Position<'_>,
            ) {
                match self {
                    $(Self::$kind(value) => {
                        out.json.key($name);
                        $crate::translate::table::Value::write(value, out, &at.member($name));
                    })*
                    $(Self::$text(text) => {
                        out.json.key($json_name);
                        out.json_text(text, $text_field, &at.member($json_name));
                    }
                    $(Self::$struct(value) => {
                        out.json.key($json_name);
                        out.json_struct(value, $struct_field, &at.member($json_name));
                    })?)?
                    $($(Self::$nothing(_) => {})+)?
                }
            }

            fn read(
                name: &str,
                from: &mut $crate::translate::table::Decoder<'_>,
                at: &$crate::translate::json::Position<'_>,
            ) -> Result<Option<Self>, $crate::translate::Error> {
                match name {
                    $($name => Ok($crate::translate::table::Value::read(from, at)?.map(Self::$kind)),)*
                    $($json_name => from
                        .read(at, $crate::translate::json::Reader::skip)
                        .map(|json| Some(Self::$text(json.to_owned()))),)?
                    _ => Ok(None),
                }
            }
        }

        $(impl $crate::translate::table::Value for $crate::pb::$message {
            fn write(
                &self,
                out: &mut $crate::translate::table::Encoder<'_>,
                at: &$crate::translate::json::Position<'_>,
            ) {
                out.json.begin_object();
                if let Some(union) = &self.$field {
                    $crate::translate::table::Union::write(union, out, at);
                }
                out.json.end_object();
            }

            fn read(
                from: &mut $crate::translate::table::Decoder<'_>,
                at: &$crate::translate::json::Position<'_>,
            ) -> Result<Option<Self>, $crate::translate::Error> {
                let union = $crate::translate::table::read_union(from, at)?;
                Ok(union.map(|$field| Self { $field }))
            }
        })?
    };
}
pub(crate) use union;
