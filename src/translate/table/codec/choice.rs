//! Defines the codecs of enums, which use Bedrock's names for the values.

use std::marker::PhantomData;

use super::{super::presence::Presence, List, read_value};
use crate::translate::{
    Error,
    json::{Position, Reader, ValueKind},
    table::{Decoder, Encoder, Value, Words},
};

/// An optional enum. An unspecified value is not written.
pub(crate) struct Choice<E>(PhantomData<E>);

impl<E: Words> Choice<E> {
    pub(crate) const PRESENCE: Presence = Presence::Optional;

    pub(crate) fn write(field: &i32, name: &'static str, out: &mut Encoder<'_>, at: &Position<'_>) {
        if let Some(word) = word::<E>(*field, out, &at.member(name)) {
            out.json.key(name);
            out.json.string(word);
        }
    }

    pub(crate) fn read(
        field: &mut i32,
        from: &mut Decoder<'_>,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        if let Some(Known::<E>(number, _)) = read_value(from, at)? {
            *field = number;
        }
        Ok(())
    }
}

/// An enum that is always written. For an unspecified value, the only possible value is written.
pub(crate) struct Defaulted<E>(PhantomData<E>);

impl<E: Words> Defaulted<E> {
    pub(crate) const PRESENCE: Presence = Presence::InRequests;

    pub(crate) fn write(field: &i32, name: &'static str, out: &mut Encoder<'_>, at: &Position<'_>) {
        let place = at.member(name);
        let word = match (word::<E>(*field, out, &place), E::WORDS.first()) {
            (None, Some((default, _))) if !out.is_raw(&place) => Some(*default),
            (given, _) => given,
        };
        if let Some(word) = word {
            out.json.key(name);
            out.json.string(word);
        }
    }

    pub(crate) fn read(
        field: &mut i32,
        from: &mut Decoder<'_>,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        Choice::<E>::read(field, from, at)
    }
}

/// A list of enums.
pub(crate) struct Choices<E>(PhantomData<E>);

impl<E: Words> Choices<E> {
    pub(crate) const PRESENCE: Presence = Presence::Optional;

    pub(crate) fn write(
        field: &[i32],
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Position<'_>,
    ) {
        let at = &at.member(name);
        if field.is_empty() {
            return out.list_for_raw(name, at);
        }
        out.json.key(name);
        out.json.begin_array();
        for (index, number) in field.iter().enumerate() {
            let at = &at.index(index);
            if let Some(word) = word::<E>(*number, out, at) {
                out.json.element();
                out.json.string(word);
            } else if *number == 0 {
                out.violation(at.field(), "must not be unspecified");
            }
        }
        out.json.end_array();
    }

    pub(crate) fn read(
        field: &mut Vec<i32>,
        from: &mut Decoder<'_>,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        let mut known: Vec<Known<E>> = Vec::new();
        List::read(&mut known, from, at)?;
        *field = known.into_iter().map(|Known(number, _)| number).collect();
        Ok(())
    }
}

/// An enum with a second field for Bedrock's name. The second field also holds names that are not
/// in the enum.
pub(crate) struct Named<E>(PhantomData<E>);

impl<E: Words> Named<E> {
    pub(crate) const PRESENCE: Presence = Presence::Optional;

    pub(crate) fn write(
        field: &i32,
        given: &str,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Position<'_>,
    ) {
        if given.is_empty() {
            return Choice::<E>::write(field, name, out, at);
        }
        let known = E::try_from(*field).ok().and_then(E::word);
        if let Some(known) = known.filter(|known| *known != given) {
            let field = at.member(name).field();
            let description =
                format!("is `{known}`, but `{name}_name` is `{given}`: set only one of them");
            out.violation(field, description);
        }
        out.json.key(name);
        out.json.string(given);
    }

    pub(crate) fn read(
        field: &mut i32,
        given: &mut String,
        from: &mut Decoder<'_>,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        let mark = from.mark();
        match read_value::<String>(from, at)? {
            // The proto cannot distinguish an empty name from an absent one.
            Some(word) if word.is_empty() => {
                from.back_to(mark);
                from.keep(at)?;
            }
            Some(word) => {
                *field = E::from_word(&word).unwrap_or_default().into();
                *given = word;
            }
            None => {}
        }
        Ok(())
    }
}

/// Defines the codec of an open enum: a second field has the names of values that the enum does not
/// define. At most one of the fields is set. `$closed` is the codec without the second field.
macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident, $closed:ident) => {
        $(#[$doc])*
        pub(crate) struct $name<E>(PhantomData<E>);

        impl<E: Words> $name<E> {
            pub(crate) const PRESENCE: Presence = $closed::<E>::PRESENCE;

            pub(crate) fn write(
                field: &i32,
                other: &str,
                name: &'static str,
                out: &mut Encoder<'_>,
                at: &Position<'_>,
            ) {
                if other.is_empty() {
                    $closed::<E>::write(field, name, out, at);
                } else {
                    write_other(*field, other, name, out, at);
                }
            }

            pub(crate) fn read(
                field: &mut i32,
                other: &mut String,
                from: &mut Decoder<'_>,
                at: &Position<'_>,
            ) -> Result<(), Error> {
                let mut word = String::new();
                Named::<E>::read(field, &mut word, from, at)?;
                if *field == 0 {
                    *other = word;
                }
                Ok(())
            }
        }
    };
}

open_enum! {
    /// An optional open enum. An unspecified value is not written.
    OpenChoice, Choice
}
open_enum! {
    /// An open enum that is always written. For an unspecified value, the default is written.
    OpenDefaulted, Defaulted
}

fn write_other(
    field: i32,
    other: &str,
    name: &'static str,
    out: &mut Encoder<'_>,
    at: &Position<'_>,
) {
    if field != 0 {
        let description = format!("and `{name}_name` are both set: set only one of them");
        out.violation(at.member(name).field(), description);
    }
    out.json.key(name);
    out.json.string(other);
}

/// A value that is in the enum, stored as its number.
struct Known<E>(i32, PhantomData<E>);

impl<E: Words> Value for Known<E> {
    fn write(&self, out: &mut Encoder<'_>, at: &Position<'_>) {
        if let Some(word) = word::<E>(self.0, out, at) {
            out.json.string(word);
        }
    }

    fn read(from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Option<Self>, Error> {
        if !from.is(ValueKind::String, at)? {
            return Ok(None);
        }
        let word = from.read(at, Reader::string)?;
        Ok(E::from_word(&word).map(|value| Self(value.into(), PhantomData)))
    }
}

fn word<E: Words>(number: i32, out: &mut Encoder<'_>, at: &Position<'_>) -> Option<&'static str> {
    let word = E::try_from(number).ok().and_then(E::word);
    if word.is_none() && number != 0 {
        let description = format!("{number} is not a value of {} in this version", E::NAME);
        out.violation(at.field(), description);
    }
    word
}
