//! Reads JSON by a table: what the table does not have becomes raw members.

use std::borrow::Cow;

use crate::{
    pb,
    translate::{
        Error,
        json::{Kind, LoneHalves, Place, Reader, Syntax},
        table::presence::Presence,
    },
};

const MISSING: &str = "is missing; it is required";

/// The origin of the JSON, which decides what happens to values of the wrong type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A person wrote it: an error that says what is right. What the proto cannot distinguish from
    /// absence is kept as a raw member.
    Request,
    /// Bedrock wrote it: kept as a raw member, because no reader of the stream could fix it.
    Event,
}

/// From JSON to a message.
pub(crate) struct Decoder<'a> {
    pub(crate) json: Reader<'a>,
    pub(crate) mode: Mode,
    raw: Vec<pb::RawMember>,
    /// Strings that begin or end with half of a surrogate pair, as pointers.
    halves: Vec<(String, LoneHalves)>,
}

/// A state of the decoder to return to.
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

    /// What has no field.
    pub(crate) fn finish(mut self) -> Result<Vec<pb::RawMember>, Error> {
        let end = self.json.end();
        end.map_err(|syntax| Error::syntax(&Place::ROOT, &syntax))?;
        Ok(self.raw)
    }

    /// Reads a string, and records where it begins or ends with half of a surrogate pair.
    pub(crate) fn string(&mut self, at: &Place<'_>) -> Result<String, Error> {
        let (text, halves) = self.read(at, Reader::string_and_halves)?;
        if !halves.is_empty() {
            self.halves.push((at.pointer(), halves));
        }
        Ok(text.into_owned())
    }

    /// Returns the halves of surrogate pairs at the ends of the string at a pointer.
    pub(crate) fn halves_at(&self, pointer: &str) -> LoneHalves {
        let found = self.halves.iter().find(|(place, _)| place == pointer);
        found.map_or_else(LoneHalves::default, |(_, halves)| *halves)
    }

    /// Whether the next value is of this kind. If not, an error for requests.
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

    /// A value that its field cannot hold: an error for requests.
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

    /// One step of the reader.
    pub(crate) fn read<T>(
        &mut self,
        at: &Place<'_>,
        step: impl FnOnce(&mut Reader<'a>) -> Result<T, Syntax>,
    ) -> Result<T, Error> {
        step(&mut self.json).map_err(|syntax| Error::syntax(at, &syntax))
    }

    /// The next member of the object at `at`.
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

    /// Skips a null, if one is here: it means absence.
    pub(crate) fn null(&mut self, at: &Place<'_>) -> Result<bool, Error> {
        let null = self.peek(at)? == Kind::Null;
        if null {
            self.read(at, Reader::null)?;
        }
        Ok(null)
    }

    /// Keeps the value here, for which there is no field.
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

    /// Handles a repeated member of an object: an error for requests, and for members that nothing
    /// can replace.
    pub(crate) fn repeated(&mut self, presence: Presence, at: &Place<'_>) -> Result<(), Error> {
        const PROBLEM: &str = "is given twice; give it once";
        if presence == Presence::Always {
            return Err(Error::new(at, PROBLEM));
        }
        self.mismatch(at, || PROBLEM.to_owned())?;
        self.keep(at)
    }

    /// Checks for a required member.
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
