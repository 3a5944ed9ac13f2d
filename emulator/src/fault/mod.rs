//! Defines faults: ways in which a call can fail, each with a name.
//!
//! A fault is requested in the model ID (`us.amazon.nova-lite-v1:0.fault-throttling`), in the
//! header `x-emulator-fault`, or in the options, in this order of precedence. A fault in the stream
//! can have a position. It is after a number of content deltas (`.fault-reset-after-3`; `-after-0`
//! fails before `messageStart`), or after an event (`.fault-reset-after-messageStop`). The default
//! position is after one delta.

mod table;

use std::{fmt, str::FromStr};

use serde_json::{Map, Value};

pub(super) use self::table::{Effect, Insert, Rewrite};
use self::table::{KINDS, Kind};
use super::error::WireError;

/// Separates a fault from a model ID.
const MARK: &str = ".fault-";
/// Separates a fault from its position.
const AFTER: &str = "-after-";

/// A fault, and its position in the stream.
#[derive(Clone, Copy)]
pub struct Fault {
    kind: &'static Kind,
    after: Option<Position>,
}

/// The part of an answer that is sent before a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// After this many content deltas. With 0, nothing is sent before the fault.
    Deltas(usize),
    /// After the last event of this type, such as `messageStop`.
    Event(&'static str),
}

impl Position {
    /// The events that can be named as a position.
    const EVENTS: [&str; 6] = [
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ];

    fn parse(text: &str) -> Option<Self> {
        let event = Self::EVENTS.into_iter().find(|event| *event == text);
        let deltas = || text.parse().ok().map(Self::Deltas);
        event.map(Self::Event).or_else(deltas)
    }
}

impl Fault {
    /// Returns the names of all faults, each with a description of its effect.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
        KINDS.iter().map(|kind| (kind.name, kind.about))
    }

    /// Returns the name without the position.
    pub const fn name(self) -> &'static str {
        self.kind.name
    }

    /// Returns the position, if the fault has one.
    pub const fn after(self) -> Option<Position> {
        self.after
    }

    /// Returns the same fault after this many content deltas.
    #[must_use]
    pub const fn with_after(self, deltas: usize) -> Self {
        let after = Some(Position::Deltas(deltas));
        Self { after, ..self }
    }

    pub(super) const fn effect(self) -> &'static Effect {
        &self.kind.effect
    }

    /// Splits a model ID from the fault that is appended to it.
    pub(super) fn split(model_id: &str) -> Result<(&str, Option<Self>), String> {
        match model_id.rsplit_once(MARK) {
            None => Ok((model_id, None)),
            Some((model_id, name)) => Ok((model_id, Some(name.parse()?))),
        }
    }

    /// Returns the error that this fault sends as an HTTP response, for a call of this model.
    pub(super) fn error(self, model_id: &str) -> WireError {
        let (refusal, stream_only) = match self.effect() {
            Effect::Refuse(refusal) => (refusal, false),
            Effect::Exception { refusal, .. } => (refusal, true),
            _ => (&table::INTERNAL, true),
        };
        let message = refusal.message.replace("{model}", model_id);
        let mut error = if refusal.front_door {
            WireError::front_door(refusal.status, refusal.code, message)
        } else {
            WireError::bedrock(refusal.status, refusal.code, message)
        };
        let numbers = refusal
            .original_status
            .map(|n| ("originalStatusCode", Value::from(n)));
        let texts = refusal
            .text_member
            .map(|(name, text)| (name, Value::from(text)));
        let members = numbers.into_iter().chain(texts);
        error.members = members
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>();
        error.header = if stream_only { None } else { refusal.header };
        error
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let split = text.rsplit_once(AFTER);
        let named = split.and_then(|(name, after)| Some((name, Position::parse(after)?)));
        let (name, after) = match named {
            Some((name, after)) => (name, Some(after)),
            None => (text, None),
        };
        let kind = KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
            let names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
            format!(
                "unknown fault {name:?}: expected one of {}",
                names.join(", ")
            )
        })?;
        Ok(Self { kind, after })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name)?;
        match self.after {
            Some(Position::Deltas(deltas)) => write!(f, "{AFTER}{deltas}"),
            Some(Position::Event(event)) => write!(f, "{AFTER}{event}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({self})")
    }
}

impl PartialEq for Fault {
    fn eq(&self, other: &Self) -> bool {
        self.kind.name == other.kind.name && self.after == other.after
    }
}

impl Eq for Fault {}
