//! Defines codecs: how a field's value and its absence appear in JSON. Each row of a table names a
//! codec.

mod choice;
mod collection;

pub(crate) use choice::{Choice, Choices, Defaulted, Named, OpenChoice, OpenDefaulted};
pub(crate) use collection::{List, Map, RequiredList, read_list, write_list};

use super::{Decoder, Encoder, Union, Value, presence::Presence, read_union};
use crate::translate::{
    Error,
    json::{Position, Reader, ValueKind},
};

/// The index of a content block. An invalid index is always an error, because the gateway could mix
/// up the pieces of two blocks.
pub(crate) struct BlockIndex;

impl BlockIndex {
    pub(crate) const PRESENCE: Presence = Presence::Always;

    pub(crate) fn write(field: &i32, name: &'static str, out: &mut Encoder<'_>, at: &Position<'_>) {
        Required::write(field, name, out, at);
    }

    pub(crate) fn read(
        field: &mut i32,
        from: &mut Decoder<'_>,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        let mark = from.mark();
        match i32::read(from, at)?.filter(|index| *index >= 0) {
            Some(index) => *field = index,
            None => {
                from.back_to(mark);
                let found = from.read(at, Reader::skip)?;
                let problem = format!(
                    "expected a whole number from 0 to {}, found {found}",
                    i32::MAX
                );
                return Err(Error::new(at, problem));
            }
        }
        Ok(())
    }
}

/// A field that is always written.
pub(crate) struct Required;

impl Required {
    pub(crate) const PRESENCE: Presence = Presence::InRequests;

    pub(crate) fn write<T: Value + Default + PartialEq>(
        field: &T,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Position<'_>,
    ) {
        let at = &at.member(name);
        if *field == T::default() && out.is_raw(at) {
            return;
        }
        out.json.key(name);
        field.write(out, at);
    }

    pub(crate) fn read<T: Value>(
        field: &mut T,
        from: &mut Decoder<'_>,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        if from.peek(at)? == ValueKind::Null {
            from.mismatch(at, || "is null, but it is required".to_owned())?;
        }
        if let Some(value) = read_value(from, at)? {
            *field = value;
        }
        Ok(())
    }
}

/// A field that is written if it is present.
pub(crate) struct Optional;

impl Optional {
    pub(crate) const PRESENCE: Presence = Presence::Optional;

    pub(crate) fn write<T: Value>(
        field: &Option<T>,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Position<'_>,
    ) {
        let at = &at.member(name);
        match field {
            Some(value) => {
                out.json.key(name);
                value.write(out, at);
            }
            None => out.object_for_raw(name, at),
        }
    }

    pub(crate) fn read<T: Value>(
        field: &mut Option<T>,
        from: &mut Decoder<'_>,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        *field = read_value(from, at)?;
        Ok(())
    }
}

/// A oneof, written as an object with one member. The object is always written, so that a member of
/// an unknown kind can be inserted into it.
pub(crate) struct OneOf;

impl OneOf {
    pub(crate) const PRESENCE: Presence = Presence::Optional;

    pub(crate) fn write<U: Union>(
        field: &Option<U>,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Position<'_>,
    ) {
        let at = &at.member(name);
        if field.is_none() && out.is_raw(at) {
            return;
        }
        out.json.key(name);
        out.json.begin_object();
        if let Some(union) = field {
            union.write(out, at);
        }
        out.json.end_object();
    }

    pub(crate) fn read<U: Union>(
        field: &mut Option<U>,
        from: &mut Decoder<'_>,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        let mark = from.mark();
        match read_union(from, at)? {
            Some(union) => *field = union,
            None => {
                from.back_to(mark);
                from.keep(at)?;
            }
        }
        Ok(())
    }
}

/// Reads the value at this position. Returns `None` for null. Also returns `None` for a value that
/// the field cannot hold, and keeps that value as a raw member.
fn read_value<T: Value>(from: &mut Decoder<'_>, at: &Position<'_>) -> Result<Option<T>, Error> {
    if from.null(at)? {
        return Ok(None);
    }
    let mark = from.mark();
    let value = T::read(from, at)?;
    if value.is_none() {
        from.back_to(mark);
        from.keep(at)?;
    }
    Ok(value)
}
