//! Defines the codecs of lists and maps.

use std::collections::{HashMap, hash_map::Entry};

use super::{super::presence::Presence, read_value};
use crate::translate::{
    Error,
    json::{Position, Reader, ValueKind},
    table::{Decoder, Encoder, Value},
};

/// The number of elements that are written between two checks of whether the output is still
/// needed.
const ELEMENTS_BETWEEN_LOOKS: usize = 256;

/// A list that is written unless it is empty.
pub(crate) struct List;

impl List {
    pub(crate) const PRESENCE: Presence = Presence::Optional;

    pub(crate) fn write<T: Value>(
        field: &[T],
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Position<'_>,
    ) {
        let at = &at.member(name);
        if field.is_empty() {
            return out.list_for_raw(name, at);
        }
        out.json.key(name);
        write_list(field, out, at);
    }

    pub(crate) fn read<T: Value>(
        field: &mut Vec<T>,
        from: &mut Decoder<'_>,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        read_collection(field, from, at, read_list, Vec::is_empty)
    }
}

/// A list that is always written, even if it is empty.
pub(crate) struct RequiredList;

impl RequiredList {
    pub(crate) const PRESENCE: Presence = Presence::InRequests;

    pub(crate) fn write<T: Value>(
        field: &[T],
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Position<'_>,
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
        at: &Position<'_>,
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

/// A map that is written unless it is empty. Its members are sorted by key, because the order of a
/// hash map varies from run to run.
pub(crate) struct Map;

impl Map {
    pub(crate) const PRESENCE: Presence = Presence::Optional;

    pub(crate) fn write<T: Value>(
        field: &HashMap<String, T>,
        name: &'static str,
        out: &mut Encoder<'_>,
        at: &Position<'_>,
    ) {
        let at = &at.member(name);
        if field.is_empty() {
            return out.object_for_raw(name, at);
        }
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
        at: &Position<'_>,
    ) -> Result<(), Error> {
        read_collection(field, from, at, read_map, HashMap::is_empty)
    }
}

pub(crate) fn write_list<T: Value>(list: &[T], out: &mut Encoder<'_>, at: &Position<'_>) {
    out.json.begin_array();
    for (index, value) in list.iter().enumerate() {
        if index % ELEMENTS_BETWEEN_LOOKS == ELEMENTS_BETWEEN_LOOKS - 1 && out.json.is_stopped() {
            break;
        }
        out.json.element();
        value.write(out, &at.index(index));
    }
    out.json.end_array();
}

/// Reads a list. If no field can hold an element, this element and all after it are kept as raw
/// members, so that their order is preserved.
pub(crate) fn read_list<T: Value>(
    from: &mut Decoder<'_>,
    at: &Position<'_>,
) -> Result<Option<Vec<T>>, Error> {
    if !from.is(ValueKind::Array, at)? {
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
    at: &Position<'_>,
) -> Result<Option<HashMap<String, T>>, Error> {
    if !from.is(ValueKind::Object, at)? {
        return Ok(None);
    }
    from.read(at, Reader::enter_object)?;
    let mut map = HashMap::new();
    let mut first = true;
    while let Some(key) = from.member(&mut first, at)? {
        let at = &at.member(&key);
        match map.entry(key.as_ref().to_owned()) {
            Entry::Occupied(_) => from.repeated(Presence::InRequests, at)?,
            Entry::Vacant(vacant) => {
                if let Some(value) = read_value(from, at)? {
                    vacant.insert(value);
                }
            }
        }
    }
    Ok(Some(map))
}

/// Reads a list or a map. The proto cannot distinguish an empty one from absence.
fn read_collection<C>(
    field: &mut C,
    from: &mut Decoder<'_>,
    at: &Position<'_>,
    read: impl FnOnce(&mut Decoder<'_>, &Position<'_>) -> Result<Option<C>, Error>,
    is_empty: impl FnOnce(&C) -> bool,
) -> Result<(), Error> {
    if from.null(at)? {
        return Ok(());
    }
    let mark = from.mark();
    match read(from, at)? {
        Some(collection) if !is_empty(&collection) => *field = collection,
        // The list is empty or has only raw elements, which need a list as their parent. So the
        // whole list is kept as a raw member.
        _ => {
            from.back_to(mark);
            from.keep(at)?;
        }
    }
    Ok(())
}
