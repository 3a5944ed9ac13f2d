//! Writing by a table: what can't be written becomes violations.

use std::collections::HashSet;

use crate::{
    error::Violation,
    pb,
    translate::json::{self, Place, Writer},
};

/// What to do with JSON text of the message that is not JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadJson {
    /// A violation: requests must say what they mean.
    Refuse,
    /// Written as a JSON string: a model may break off in mid-input.
    Quote,
}

/// From a message to JSON.
pub(crate) struct Encoder<'m> {
    pub(crate) json: Writer,
    bad_json: BadJson,
    /// What raw members will add, as pointers.
    raw: HashSet<&'m str>,
    violations: Vec<Violation>,
}

impl<'m> Encoder<'m> {
    pub(crate) fn new(capacity: usize, raw: &'m [pb::RawMember], bad_json: BadJson) -> Self {
        Self {
            json: Writer::with_capacity(capacity),
            bad_json,
            raw: raw.iter().map(|member| member.pointer.as_str()).collect(),
            violations: Vec::new(),
        }
    }

    /// The JSON, and what was wrong with the message.
    pub(crate) fn finish(self) -> (Writer, Vec<Violation>) {
        (self.json, self.violations)
    }

    /// Whether a raw member will stand here, so that no default must be written.
    pub(crate) fn is_raw(&self, at: &Place<'_>) -> bool {
        !self.raw.is_empty() && self.raw.contains(at.pointer().as_str())
    }

    pub(crate) fn violation(&mut self, field: String, description: impl Into<String>) {
        self.violations.push(Violation {
            field,
            description: description.into(),
        });
    }

    /// JSON text, as it stands. `field` is the proto's name of the field that holds it.
    pub(crate) fn json_text(&mut self, text: &str, field: &str, at: &Place<'_>) {
        if self.bad_json == BadJson::Quote {
            return self.json.raw_or_string(text);
        }
        match json::check(text) {
            Ok(()) => self.json.raw(text),
            Err(problem) => {
                // Nothing is sent; null keeps what is written well-formed.
                self.json.null();
                self.violation(at.beside(field).field(), problem);
            }
        }
    }
}
