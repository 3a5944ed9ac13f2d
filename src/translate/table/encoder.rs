//! Encodes messages as JSON, as a table of fields describes. Values that cannot be written become
//! violations.

use std::collections::BTreeSet;

use crate::{
    bounds::Stop,
    error::{Violation, ViolationList},
    pb,
    translate::json::{self, Position, Writer},
};

/// How to handle text that should be JSON but is not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadJson {
    /// Reports a violation, because requests must be unambiguous.
    Refuse,
    /// Writes the text without checking it, because the message was validated.
    Excluded,
    /// Writes the text as a JSON string, because a model may stop in the middle of a tool's input.
    Quote,
}

/// Writes a message as JSON.
pub(crate) struct Encoder<'m> {
    pub(crate) json: Writer,
    bad_json: BadJson,
    /// The pointers at which raw members will be inserted.
    raw: BTreeSet<&'m str>,
    violations: ViolationList,
}

impl<'m> Encoder<'m> {
    pub(crate) fn new(capacity: usize, raw: &'m [pb::RawMember], bad_json: BadJson) -> Self {
        Self::until(Stop::never(), capacity, raw, bad_json)
    }

    /// Creates an encoder that can be stopped. After `stop` is set, its output must not be used.
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

    /// Returns the JSON and the violations.
    pub(crate) fn finish(self) -> (Writer, ViolationList) {
        (self.json, self.violations)
    }

    /// Returns whether a raw member will be inserted at this position. If so, no default may be
    /// written.
    pub(crate) fn is_raw(&self, at: &Position<'_>) -> bool {
        !self.raw.is_empty() && self.raw.contains(at.pointer().as_str())
    }

    /// Returns whether raw members will be inserted below a field that is not set. If so, an object
    /// or a list must be written as their parent.
    pub(crate) fn is_raw_below(&self, at: &Position<'_>) -> bool {
        if self.raw.is_empty() {
            return false;
        }
        let mut below = at.pointer();
        // A raw member at this position is itself the parent.
        if self.raw.contains(below.as_str()) {
            return false;
        }
        below.push('/');
        let first = self.raw.range(below.as_str()..).next();
        first.is_some_and(|pointer| pointer.starts_with(&below))
    }

    /// Writes an empty object if raw members will be inserted below this field, which is not set.
    pub(crate) fn object_for_raw(&mut self, name: &str, at: &Position<'_>) {
        if self.is_raw_below(at) {
            self.json.key(name);
            self.json.begin_object();
            self.json.end_object();
        }
    }

    /// Writes an empty list if raw members will be inserted below this field, which is not set.
    pub(crate) fn list_for_raw(&mut self, name: &str, at: &Position<'_>) {
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

    /// Writes JSON text unchanged. `field` is the name of the field in the proto.
    pub(crate) fn json_text(&mut self, text: &str, field: &str, at: &Position<'_>) {
        match self.bad_json {
            BadJson::Quote => return self.json.raw_or_string(text),
            BadJson::Excluded => return self.json.raw(text),
            BadJson::Refuse => {}
        }
        match json::check(text) {
            Ok(()) => self.json.raw(text),
            Err(problem) => {
                // The body will not be sent. Null only keeps the JSON well-formed.
                self.json.null();
                self.violation(at.sibling(field).field(), problem);
            }
        }
    }
}
