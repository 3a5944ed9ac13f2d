//! Reads JSON by a table. Members that the table does not have become raw members.

use std::borrow::Cow;

use crate::{
    pb,
    translate::{
        Error,
        json::{Kind, LoneHalves, Place, Reader, Syntax},
        table::presence::Presence,
    },
};

const MISSING: &str = "is missing, but it is required";

/// The origin of the JSON, which decides how values of the wrong type are handled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A person wrote the JSON. A value of the wrong type is an error that says what is expected.
    /// Values that the proto cannot distinguish from absence are kept as raw members.
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
    /// The strings that begin or end with an unpaired surrogate, by their pointer.
    halves: Vec<(String, LoneHalves)>,
}

/// A state to which the decoder can return.
pub(crate) struct Mark<'a> {
    json: Reader<'a>,
    raw: usize,
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(body: &'a [u8], mode: Mode) -> Result<Self, Error> {
        let json = Reader::new(body).map_err(|syntax| Error::syntax(&Place::ROOT, &syntax))?;
        Ok(Self {
            json,
            mode,
            raw: Vec::new(),
            halves: Vec::new(),
        })
    }

    /// Returns the members that have no field, as raw members.
    pub(crate) fn finish(mut self) -> Result<Vec<pb::RawMember>, Error> {
        let end = self.json.end();
        end.map_err(|syntax| Error::syntax(&Place::ROOT, &syntax))?;
        Ok(self.raw)
    }

    /// Reads a string, and records unpaired surrogates at its ends.
    pub(crate) fn string(&mut self, at: &Place<'_>) -> Result<String, Error> {
        let (text, halves) = self.read(at, Reader::string_and_halves)?;
        if !halves.is_empty() {
            self.halves.push((at.pointer(), halves));
        }
        Ok(text.into_owned())
    }

    /// Returns the unpaired surrogates at the ends of the string with this pointer.
    pub(crate) fn halves_at(&self, pointer: &str) -> LoneHalves {
        let found = self.halves.iter().find(|(place, _)| place == pointer);
        found.map_or_else(LoneHalves::default, |(_, halves)| *halves)
    }

    /// Returns whether the next value is of this kind. If it is not, this is an error for requests.
    pub(crate) fn is(&mut self, kind: Kind, at: &Place<'_>) -> Result<bool, Error> {
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

    /// Handles a value that its field cannot hold: returns an error for requests, and does nothing
    /// for events.
    pub(crate) fn mismatch(
        &self,
        at: &Place<'_>,
        problem: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        match self.mode {
            Mode::Request => Err(Error::new(at, problem())),
            Mode::Event => Ok(()),
        }
    }

    pub(crate) fn peek(&mut self, at: &Place<'_>) -> Result<Kind, Error> {
        self.read(at, Reader::peek)
    }

    /// Runs one step of the reader and adds the position to its error.
    pub(crate) fn read<T>(
        &mut self,
        at: &Place<'_>,
        step: impl FnOnce(&mut Reader<'a>) -> Result<T, Syntax>,
    ) -> Result<T, Error> {
        step(&mut self.json).map_err(|syntax| Error::syntax(at, &syntax))
    }

    /// Returns the name of the next member of the object at `at`.
    pub(crate) fn member(
        &mut self,
        first: &mut bool,
        at: &Place<'_>,
    ) -> Result<Option<Cow<'a, str>>, Error> {
        self.read(at, |json| json.member(first))
    }

    pub(crate) fn element(&mut self, first: &mut bool, at: &Place<'_>) -> Result<bool, Error> {
        self.read(at, |json| json.element(first))
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

    /// Skips the next value if it is null, which means absence. Returns whether it was.
    pub(crate) fn null(&mut self, at: &Place<'_>) -> Result<bool, Error> {
        let null = self.peek(at)? == Kind::Null;
        if null {
            self.read(at, Reader::null)?;
        }
        Ok(null)
    }

    /// Keeps the next value as a raw member, because it has no field.
    pub(crate) fn keep(&mut self, at: &Place<'_>) -> Result<(), Error> {
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

    pub(crate) fn keep_text(&mut self, at: &Place<'_>, json: &str) {
        self.raw.push(pb::RawMember {
            pointer: at.pointer(),
            json: json.to_owned(),
        });
    }

    /// Handles a repeated member of an object. This is an error for requests, and for members
    /// without which the object has no meaning.
    pub(crate) fn repeated(&mut self, presence: Presence, at: &Place<'_>) -> Result<(), Error> {
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
        at: &Place<'_>,
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
