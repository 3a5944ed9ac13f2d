//! How a field's value, and its absence, show in JSON: the codecs that the rows of tables name.

use std::{
    collections::{HashMap, hash_map::Entry},
    marker::PhantomData,
};

use super::{Decoder, Encoder, Mode, Union, Value, Words, union::read_union};
use crate::translate::{
    Error,
    json::{Kind, Place, Reader},
};

/// Always written.
pub(crate) struct Required;

impl Required {
    pub(crate) const REQUIRED: bool = true;

    pub(crate) fn write<T: Value + Default + PartialEq>(
        field: &T,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Place<'_>,
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
        at: &Place<'_>,
    ) -> Result<(), Error> {
        if from.peek(at)? == Kind::Null {
            from.mismatch(at, || "is null; it is required".to_owned())?;
        }
        if let Some(value) = read_value(from, at)? {
            *field = value;
        }
        Ok(())
    }
}

/// Written if present.
pub(crate) struct Optional;

impl Optional {
    pub(crate) const REQUIRED: bool = false;

    pub(crate) fn write<T: Value>(
        field: &Option<T>,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Place<'_>,
    ) {
        if let Some(value) = field {
            out.json.key(name);
            value.write(out, &at.member(name));
        }
    }

    pub(crate) fn read<T: Value>(
        field: &mut Option<T>,
        from: &mut Decoder<'_>,
        at: &Place<'_>,
    ) -> Result<(), Error> {
        *field = read_value(from, at)?;
        Ok(())
    }
}

/// A list that is written if it holds something.
pub(crate) struct List;

impl List {
    pub(crate) const REQUIRED: bool = false;

    pub(crate) fn write<T: Value>(
        field: &[T],
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Place<'_>,
    ) {
        if !field.is_empty() {
            out.json.key(name);
            write_list(field, out, &at.member(name));
        }
    }

    pub(crate) fn read<T: Value>(
        field: &mut Vec<T>,
        from: &mut Decoder<'_>,
        at: &Place<'_>,
    ) -> Result<(), Error> {
        read_collection(field, from, at, read_list, Vec::is_empty)
    }
}

/// A list that is always written, empty or not.
pub(crate) struct RequiredList;

impl RequiredList {
    pub(crate) const REQUIRED: bool = true;

    pub(crate) fn write<T: Value>(
        field: &[T],
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Place<'_>,
    ) {
        let at = &at.member(name);
        if field.is_empty() && out.is_raw(at) {
            return;
        }
        out.json.key(name);
        write_list(field, out, at);
    }

    pub(crate) fn read<T: Value>(
        field: &mut Vec<T>,
        from: &mut Decoder<'_>,
        at: &Place<'_>,
    ) -> Result<(), Error> {
        let mark = from.mark();
        match read_list(from, at)? {
            Some(list) => *field = list,
            None => {
                from.back_to(mark);
                from.keep(at)?;
            }
        }
        Ok(())
    }
}

/// A map that is written if it holds something, in the order of its keys: a hash map's own order changes from run to run.
pub(crate) struct Map;

impl Map {
    pub(crate) const REQUIRED: bool = false;

    pub(crate) fn write<T: Value>(
        field: &HashMap<String, T>,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Place<'_>,
    ) {
        if field.is_empty() {
            return;
        }
        let at = &at.member(name);
        let mut sorted: Vec<_> = field.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        out.json.key(name);
        out.json.begin_object();
        for (key, value) in sorted {
            out.json.key(key);
            value.write(out, &at.member(key));
        }
        out.json.end_object();
    }

    pub(crate) fn read<T: Value>(
        field: &mut HashMap<String, T>,
        from: &mut Decoder<'_>,
        at: &Place<'_>,
    ) -> Result<(), Error> {
        read_collection(field, from, at, read_map, HashMap::is_empty)
    }
}

/// An enum that is written unless it is unspecified.
pub(crate) struct Choice<E>(PhantomData<E>);

impl<E: Words> Choice<E> {
    pub(crate) const REQUIRED: bool = false;

    pub(crate) fn write(field: &i32, name: &'static str, out: &mut Encoder<'_>, at: &Place<'_>) {
        if let Some(word) = word::<E>(*field, out, &at.member(name)) {
            out.json.key(name);
            out.json.string(word);
        }
    }

    pub(crate) fn read(
        field: &mut i32,
        from: &mut Decoder<'_>,
        at: &Place<'_>,
    ) -> Result<(), Error> {
        if let Some(Known::<E>(number, _)) = read_value(from, at)? {
            *field = number;
        }
        Ok(())
    }
}

/// An enum that is always written; unspecified means the only value that there is.
pub(crate) struct Defaulted<E>(PhantomData<E>);

impl<E: Words> Defaulted<E> {
    pub(crate) const REQUIRED: bool = true;

    pub(crate) fn write(field: &i32, name: &'static str, out: &mut Encoder<'_>, at: &Place<'_>) {
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
        at: &Place<'_>,
    ) -> Result<(), Error> {
        Choice::<E>::read(field, from, at)
    }
}

/// A list of enums.
pub(crate) struct Choices<E>(PhantomData<E>);

impl<E: Words> Choices<E> {
    pub(crate) const REQUIRED: bool = false;

    pub(crate) fn write(field: &[i32], name: &'static str, out: &mut Encoder<'_>, at: &Place<'_>) {
        if field.is_empty() {
            return;
        }
        let at = &at.member(name);
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
        at: &Place<'_>,
    ) -> Result<(), Error> {
        let mut known: Vec<Known<E>> = Vec::new();
        List::read(&mut known, from, at)?;
        *field = known.into_iter().map(|Known(number, _)| number).collect();
        Ok(())
    }
}

/// An enum with Bedrock's word beside it, which also holds words that the enum does not know.
pub(crate) struct Named<E>(PhantomData<E>);

impl<E: Words> Named<E> {
    pub(crate) const REQUIRED: bool = false;

    pub(crate) fn write(
        field: &i32,
        given: &str,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Place<'_>,
    ) {
        if given.is_empty() {
            return Choice::<E>::write(field, name, out, at);
        }
        let known = E::try_from(*field).ok().and_then(E::word);
        if let Some(known) = known.filter(|known| *known != given) {
            let field = at.member(name).field();
            let description =
                format!("says `{known}` but `{name}_name` says `{given}`: leave one out");
            out.violation(field, description);
        }
        out.json.key(name);
        out.json.string(given);
    }

    pub(crate) fn read(
        field: &mut i32,
        given: &mut String,
        from: &mut Decoder<'_>,
        at: &Place<'_>,
    ) -> Result<(), Error> {
        if let Some(word) = read_value::<String>(from, at)? {
            *field = E::from_word(&word).unwrap_or_default().into();
            *given = word;
        }
        Ok(())
    }
}

/// One of several kinds, as an object with one member. Always written, so that what the proto does not know has a place to stand.
pub(crate) struct OneOf;

impl OneOf {
    pub(crate) const REQUIRED: bool = false;

    pub(crate) fn write<U: Union>(
        field: &Option<U>,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Place<'_>,
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
        at: &Place<'_>,
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

/// A known word of an enum, by its number.
struct Known<E>(i32, PhantomData<E>);

impl<E: Words> Value for Known<E> {
    fn write(&self, out: &mut Encoder<'_>, at: &Place<'_>) {
        if let Some(word) = word::<E>(self.0, out, at) {
            out.json.string(word);
        }
    }

    fn read(from: &mut Decoder<'_>, at: &Place<'_>) -> Result<Option<Self>, Error> {
        if !from.is(Kind::String, at)? {
            return Ok(None);
        }
        let word = from.read(at, Reader::string)?;
        Ok(E::from_word(&word).map(|value| Self(value.into(), PhantomData)))
    }
}

fn word<E: Words>(number: i32, out: &mut Encoder<'_>, at: &Place<'_>) -> Option<&'static str> {
    let word = E::try_from(number).ok().and_then(E::word);
    if word.is_none() && number != 0 {
        let description = format!(
            "{number} is no value of {} that this version knows",
            E::NAME
        );
        out.violation(at.field(), description);
    }
    word
}

/// The value that stands here; null and what the field cannot hold, which is kept raw, are `None`.
fn read_value<T: Value>(from: &mut Decoder<'_>, at: &Place<'_>) -> Result<Option<T>, Error> {
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

pub(crate) fn write_list<T: Value>(list: &[T], out: &mut Encoder<'_>, at: &Place<'_>) {
    out.json.begin_array();
    for (index, value) in list.iter().enumerate() {
        out.json.element();
        value.write(out, &at.index(index));
    }
    out.json.end_array();
}

/// A list. From the first element on that cannot be held, the elements are kept raw, so that their order is kept too.
pub(crate) fn read_list<T: Value>(
    from: &mut Decoder<'_>,
    at: &Place<'_>,
) -> Result<Option<Vec<T>>, Error> {
    if !from.is(Kind::Array, at)? {
        return Ok(None);
    }
    from.read(at, Reader::enter_array)?;
    let mut list = Vec::new();
    let mut all_held = true;
    let mut first = true;
    let mut index = 0;
    while from.element(&mut first, at)? {
        let at = &at.index(index);
        index += 1;
        if all_held {
            let mark = from.mark();
            if let Some(value) = T::read(from, at)? {
                list.push(value);
                continue;
            }
            from.back_to(mark);
            all_held = false;
        }
        let element = from.read(at, Reader::skip)?;
        from.keep_text(at, element);
    }
    Ok(Some(list))
}

fn read_map<T: Value>(
    from: &mut Decoder<'_>,
    at: &Place<'_>,
) -> Result<Option<HashMap<String, T>>, Error> {
    if !from.is(Kind::Object, at)? {
        return Ok(None);
    }
    from.read(at, Reader::enter_object)?;
    let mut map = HashMap::new();
    let mut first = true;
    while let Some(key) = from.member(&mut first, at)? {
        let at = &at.member(&key);
        match map.entry(key.as_ref().to_owned()) {
            Entry::Occupied(_) => from.repeated(at)?,
            Entry::Vacant(vacant) => {
                if let Some(value) = read_value(from, at)? {
                    vacant.insert(value);
                }
            }
        }
    }
    Ok(Some(map))
}

/// A list or map whose emptiness the proto cannot tell from its absence.
fn read_collection<C>(
    field: &mut C,
    from: &mut Decoder<'_>,
    at: &Place<'_>,
    read: impl FnOnce(&mut Decoder<'_>, &Place<'_>) -> Result<Option<C>, Error>,
    is_empty: impl FnOnce(&C) -> bool,
) -> Result<(), Error> {
    if from.null(at)? {
        return Ok(());
    }
    let mark = from.mark();
    let raw_before = from.raw_count();
    match read(from, at)? {
        Some(collection) if !is_empty(&collection) => *field = collection,
        // Bedrock's answers mean the same by an empty list as by none.
        Some(_) if from.mode == Mode::Event && from.raw_count() == raw_before => {}
        // A raw element needs a list to stand in: without one, the whole is kept.
        _ => {
            from.back_to(mark);
            from.keep(at)?;
        }
    }
    Ok(())
}
