//! Writes JSON by a table: what cannot be written becomes violations.

use std::collections::BTreeSet;

use crate::{
    bounds::Stop,
    error::{Violation, ViolationList},
    pb,
    translate::json::{self, Place, Writer},
};

/// What to do with JSON text of the message that is not JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadJson {
    /// A violation: requests must be unambiguous.
    Refuse,
    /// There is none: the message was validated, and its JSON text is not read again.
    Excluded,
    /// Written as a JSON string, because a model may break off in the middle of its input.
    Quote,
}

/// From a message to JSON.
pub(crate) struct Encoder<'m> {
    pub(crate) json: Writer,
    bad_json: BadJson,
    /// What raw members will add, as pointers.
    raw: BTreeSet<&'m str>,
    violations: ViolationList,
}

impl<'m> Encoder<'m> {
    pub(crate) fn new(capacity: usize, raw: &'m [pb::RawMember], bad_json: BadJson) -> Self {
        Self::until(Stop::never(), capacity, raw, bad_json)
    }

    /// The same, whose work may be stopped; what it writes is worth nothing then.
    pub(crate) fn until(
        stop: Stop,
        capacity: usize,
        raw: &'m [pb::RawMember],
        bad_json: BadJson,
    ) -> Self {
        Self {
            json: Writer::with_capacity(capacity).until(stop),
            bad_json,
            raw: raw.iter().map(|member| member.pointer.as_str()).collect(),
            violations: ViolationList::new(),
        }
    }

    /// The JSON, and the violations.
    pub(crate) fn finish(self) -> (Writer, ViolationList) {
        (self.json, self.violations)
    }

    /// Whether a raw member will be here, so that no default may be written.
    pub(crate) fn is_raw(&self, at: &Place<'_>) -> bool {
        !self.raw.is_empty() && self.raw.contains(at.pointer().as_str())
    }

    /// Whether raw members will be below a field that is not set, so that an object or a list is
    /// needed for them.
    pub(crate) fn is_raw_below(&self, at: &Place<'_>) -> bool {
        if self.raw.is_empty() {
            return false;
        }
        let mut below = at.pointer();
        // A raw member at this place brings its own parent.
        if self.raw.contains(below.as_str()) {
            return false;
        }
        below.push('/');
        let first = self.raw.range(below.as_str()..).next();
        first.is_some_and(|pointer| pointer.starts_with(&below))
    }

    /// Writes an empty object for the raw members below a field that is not set, if there are any.
    pub(crate) fn object_for_raw(&mut self, name: &str, at: &Place<'_>) {
        if self.is_raw_below(at) {
            self.json.key(name);
            self.json.begin_object();
            self.json.end_object();
        }
    }

    /// The same with an empty list.
    pub(crate) fn list_for_raw(&mut self, name: &str, at: &Place<'_>) {
        if self.is_raw_below(at) {
            self.json.key(name);
            self.json.begin_array();
            self.json.end_array();
        }
    }

    pub(crate) fn violation(&mut self, field: String, description: impl Into<String>) {
        self.violations.add(|| Violation {
            field,
            description: description.into(),
        });
    }

    /// Writes JSON text unchanged. `field` is the proto's name of its field.
    pub(crate) fn json_text(&mut self, text: &str, field: &str, at: &Place<'_>) {
        match self.bad_json {
            BadJson::Quote => return self.json.raw_or_string(text),
            BadJson::Excluded => return self.json.raw(text),
            BadJson::Refuse => {}
        }
        match json::check(text) {
            Ok(()) => self.json.raw(text),
            Err(problem) => {
                // Nothing is sent; null keeps the JSON well-formed.
                self.json.null();
                self.violation(at.beside(field).field(), problem);
            }
        }
    }
}
