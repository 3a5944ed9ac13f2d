//! Decodes messages from JSON, as a table of fields describes. Members that are not in the table
//! become raw members.

use std::borrow::Cow;

use crate::{
    pb,
    translate::{
        Error,
        json::{Position, Reader, Syntax, UnpairedSurrogates, ValueKind},
        table::presence::Presence,
    },
};

/// The maximum number of members and list elements of an event that are decoded. Each takes up to
/// some hundred bytes of memory, but only three bytes of JSON. JSON that is passed through
/// unchanged does not count.
const MAX_PARTS: usize = 64 << 10;
const MISSING: &str = "is missing, but it is required";

/// The origin of the JSON, which decides how values of the wrong type are handled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A person wrote the JSON. A value of the wrong type is an error that says what is expected. A
    /// value that the proto cannot distinguish from absence is kept as a raw member.
    Request,
    /// Bedrock wrote the JSON. A value of the wrong type is kept as a raw member, because the
    /// client could not fix an error.
    Event,
}

/// Reads a message from JSON.
pub(crate) struct Decoder<'a> {
    pub(crate) json: Reader<'a>,
    pub(crate) mode: Mode,
    raw: Vec<pb::RawMember>,
    /// The number of members and elements so far.
    parts: usize,
    /// The unpaired surrogates of strings, by the pointer of the string.
    unpaired: Vec<(String, UnpairedSurrogates)>,
}

/// A state to which the decoder can return.
pub(crate) struct Mark<'a> {
    json: Reader<'a>,
    raw: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(body: &'a [u8], mode: Mode) -> Result<Self, Error> {
        let json = Reader::new(body).map_err(|syntax| Error::syntax(&Position::ROOT, &syntax))?;
        Ok(Self {
            json,
            mode,
            raw: Vec::new(),
            parts: 0,
            unpaired: Vec::new(),
        })
    }

    /// Returns the raw members: the members that have no field. Fails if text follows the value.
    pub(crate) fn finish(mut self) -> Result<Vec<pb::RawMember>, Error> {
        let end = self.json.end();
        end.map_err(|syntax| Error::syntax(&Position::ROOT, &syntax))?;
        Ok(self.raw)
    }

    /// Reads a string, and records unpaired surrogates at its ends.
    pub(crate) fn string(&mut self, at: &Position<'_>) -> Result<String, Error> {
        let (text, unpaired) = self.read(at, Reader::string_and_unpaired)?;
        if !unpaired.is_empty() {
            self.unpaired.push((at.pointer(), unpaired));
        }
        Ok(text.into_owned())
    }

    /// Returns the unpaired surrogates at the ends of the string with this pointer.
    pub(crate) fn unpaired_at(&self, pointer: &str) -> UnpairedSurrogates {
        let found = self.unpaired.iter().find(|(place, _)| place == pointer);
        found.map_or_else(UnpairedSurrogates::default, |(_, unpaired)| *unpaired)
    }

    /// Returns whether the next value is of this kind. In a request, another kind is an error.
    pub(crate) fn is(&mut self, kind: ValueKind, at: &Position<'_>) -> Result<bool, Error> {
        let found = self.peek(at)?;
        if found == kind {
            Ok(true)
        } else {
            self.mismatch(at, || {
                format!("expected {}, found {}", kind.name(), found.name())
            })?;
            Ok(false)
        }
    }

    /// Handles a value that its field cannot hold. Returns an error for requests, and does nothing
    /// for events.
    pub(crate) fn mismatch(
        &self,
        at: &Position<'_>,
        problem: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        match self.mode {
            Mode::Request => Err(Error::new(at, problem())),
            Mode::Event => Ok(()),
        }
    }

    pub(crate) fn peek(&mut self, at: &Position<'_>) -> Result<ValueKind, Error> {
        self.read(at, Reader::peek)
    }

    /// Runs one step of the reader and adds the position to its error.
    pub(crate) fn read<T>(
        &mut self,
        at: &Position<'_>,
        step: impl FnOnce(&mut Reader<'a>) -> Result<T, Syntax>,
    ) -> Result<T, Error> {
        step(&mut self.json).map_err(|syntax| Error::syntax(at, &syntax))
    }

    /// Returns the name of the next member of the object at `at`.
    pub(crate) fn member(
        &mut self,
        first: &mut bool,
        at: &Position<'_>,
    ) -> Result<Option<Cow<'a, str>>, Error> {
        self.count(at)?;
        self.read(at, |json| json.member(first))
    }

    pub(crate) fn element(&mut self, first: &mut bool, at: &Position<'_>) -> Result<bool, Error> {
        self.count(at)?;
        self.read(at, |json| json.element(first))
    }

    /// Counts a part of an event. Requests are limited before they are decoded.
    fn count(&mut self, at: &Position<'_>) -> Result<(), Error> {
        self.parts += 1;
        if self.parts > MAX_PARTS && self.mode == Mode::Event {
            let problem = format!("the event has more than {MAX_PARTS} members and elements");
            return Err(Error::new(at, problem));
        }
        Ok(())
    }

    pub(crate) fn mark(&self) -> Mark<'a> {
        Mark {
            json: self.json.clone(),
            raw: self.raw.len(),
        }
    }

    pub(crate) fn back_to(&mut self, mark: Mark<'a>) {
        self.json = mark.json;
        self.raw.truncate(mark.raw);
    }

    /// Skips the next value if it is null, which means absence. Returns whether it was null.
    pub(crate) fn null(&mut self, at: &Position<'_>) -> Result<bool, Error> {
        let null = self.peek(at)? == ValueKind::Null;
        if null {
            self.read(at, Reader::null)?;
        }
        Ok(null)
    }

    /// Keeps the next value as a raw member, because it has no field.
    pub(crate) fn keep(&mut self, at: &Position<'_>) -> Result<(), Error> {
        if self.null(at)? {
            return Ok(());
        }
        let json = self.read(at, Reader::skip)?;
        // Bedrock pads each event with a member `p` of random length, which has no meaning.
        if !(self.mode == Mode::Event && at.is_root_member("p")) {
            self.keep_text(at, json);
        }
        Ok(())
    }

    pub(crate) fn keep_text(&mut self, at: &Position<'_>, json: &str) {
        self.raw.push(pb::RawMember {
            pointer: at.pointer(),
            json: json.to_owned(),
        });
    }

    /// Handles a repeated member of an object. It is an error in requests, and for members without
    /// which the object has no meaning.
    pub(crate) fn repeated(&mut self, presence: Presence, at: &Position<'_>) -> Result<(), Error> {
        const PROBLEM: &str = "appears twice; remove one";
        if presence == Presence::Always {
            return Err(Error::new(at, PROBLEM));
        }
        self.mismatch(at, || PROBLEM.to_owned())?;
        self.keep(at)
    }

    /// Checks whether a required member is present.
    pub(crate) fn required(
        &self,
        given: bool,
        presence: Presence,
        name: &'static str,
        at: &Position<'_>,
    ) -> Result<(), Error> {
        let at = &at.member(name);
        match presence {
            _ if given => Ok(()),
            Presence::Optional => Ok(()),
            Presence::InRequests => self.mismatch(at, || MISSING.to_owned()),
            Presence::Always => Err(Error::new(at, MISSING)),
        }
    }
}
