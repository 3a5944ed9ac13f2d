//! `object!` defines a message that is an object in JSON, with one table for both directions.

use super::{Decoder, Encoder};
use crate::translate::{Error, json::Position};

/// A message that is written as a JSON object.
pub(crate) trait Object: Default {
    /// Writes the members without the object, for messages that share an object with others.
    fn write_members(&self, out: &mut Encoder<'_>, at: &Position<'_>);

    /// Reads the members of an object that has already been entered, up to its end.
    fn read_members(from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Self, Error>;
}

/// `object!(Message { "member" => field: Codec, … })` defines a message that is an object in JSON.
/// The members are written in the order of the rows. A codec that handles two fields gets them as
/// `field + other`.
macro_rules! object {
    ($message:ident { $($name:literal => $field:ident $(+ $other:ident)? : $codec:ty),* $(,)? }) => {
        impl $crate::translate::table::Object for $crate::pb::$message {
            fn write_members(
                &self,
                out: &mut $crate::translate::table::Encoder<'_>,
                at: &$crate::translate::json::Position<'_>,
            ) {
                // For a message without fields, these parameters are unused.
                let _ = (&out, at);
                $(<$codec>::write(&self.$field, $(&self.$other,)? $name, out, at);)*
            }

            fn read_members(
                from: &mut $crate::translate::table::Decoder<'_>,
                at: &$crate::translate::json::Position<'_>,
            ) -> Result<Self, $crate::translate::Error> {
                let mut message = Self::default();
                // For a message without fields, this variable is never changed.
                let _ = &mut message;
                $(let mut $field = false;)*
                let mut first = true;
                while let Some(name) = from.member(&mut first, at)? {
                    let at = &at.member(&name);
                    match &*name {
                        $($name if ::std::mem::replace(&mut $field, true) => from.repeated(<$codec>::PRESENCE, at)?,
                        $name => <$codec>::read(&mut message.$field, $(&mut message.$other,)? from, at)?,)*
                        _ => from.keep(at)?,
                    }
                }
                $(from.required($field, <$codec>::PRESENCE, $name, at)?;)*
                Ok(message)
            }
        }

        impl $crate::translate::table::Value for $crate::pb::$message {
            fn write(
                &self,
                out: &mut $crate::translate::table::Encoder<'_>,
                at: &$crate::translate::json::Position<'_>,
            ) {
                out.json.begin_object();
                $crate::translate::table::Object::write_members(self, out, at);
                out.json.end_object();
            }

            fn read(
                from: &mut $crate::translate::table::Decoder<'_>,
                at: &$crate::translate::json::Position<'_>,
            ) -> Result<Option<Self>, $crate::translate::Error> {
                if !from.is($crate::translate::json::ValueKind::Object, at)? {
                    return Ok(None);
                }
                from.read(at, $crate::translate::json::Reader::enter_object)?;
                $crate::translate::table::Object::read_members(from, at).map(Some)
            }
        }
    };
}
pub(crate) use object;

/// `plain_list!(Message.field)` defines a message whose only field is a list. In JSON, the list
/// takes the place of the message.
macro_rules! plain_list {
    ($message:ident . $field:ident) => {
        impl $crate::translate::table::Value for $crate::pb::$message {
            fn write(
                &self,
                out: &mut $crate::translate::table::Encoder<'_>,
                at: &$crate::translate::json::Position<'_>,
            ) {
                $crate::translate::table::codec::write_list(&self.$field, out, at);
            }

            fn read(
                from: &mut $crate::translate::table::Decoder<'_>,
                at: &$crate::translate::json::Position<'_>,
            ) -> Result<Option<Self>, $crate::translate::Error> {
                let list = $crate::translate::table::codec::read_list(from, at)?;
                Ok(list.map(|$field| Self { $field }))
            }
        }
    };
}
pub(crate) use plain_list;
