//! Decodes the frames in recorded bytes. This is not a general decoder: it trusts the recordings
//! and does not verify checksums.

use bytes::Bytes;

use crate::script::{Event, Script};

/// The size of the two lengths and the checksum before the headers, in bytes.
const PRELUDE: usize = 12;
/// The size of the checksum at the end, in bytes.
const TRAILER: usize = 4;

/// The names of the events of an answer.
const NAMES: [&str; 6] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
];

/// Splits the bytes into frames. Each frame has a flag that is true if the frame is complete.
/// Remaining bytes are returned unchanged.
pub(super) fn frames(mut bytes: Bytes) -> impl Iterator<Item = (Bytes, bool)> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let total =
            number(&bytes, 0).filter(|total| (PRELUDE + TRAILER..=bytes.len()).contains(total));
        match total {
            Some(total) => Some((bytes.split_to(total), true)),
            None => Some((std::mem::take(&mut bytes), false)),
        }
    })
}

/// Returns whether a frame is a content delta.
pub(super) fn is_delta(frame: &[u8]) -> bool {
    event_type(frame) == Some("contentBlockDelta")
}

/// Returns the answer that recorded bytes contain. `None` if they contain anything other than
/// complete events.
pub(super) fn script(bytes: &Bytes) -> Option<Script> {
    let events = frames(bytes.clone()).map(|(frame, _)| {
        let name = event_type(&frame)?;
        let payload = frame.get(PRELUDE + number(&frame, 4)?..frame.len().checked_sub(TRAILER)?)?;
        let payload = serde_json::from_slice(payload).ok()?;
        Some(Event { name, payload })
    });
    let mut events = events.collect::<Option<Vec<_>>>()?;
    for event in &mut events {
        if let Some(members) = event.payload.as_object_mut() {
            members.remove("p");
        }
    }
    Some(Script { events })
}

/// Returns the type of a frame, if it is an event.
fn event_type(frame: &[u8]) -> Option<&'static str> {
    let mut headers = frame.get(PRELUDE..PRELUDE + number(frame, 4)?)?;
    while !headers.is_empty() {
        let (name, rest) = headers.split_at_checked(1 + usize::from(headers[0]))?;
        // After the name, there is one byte for the type, and two bytes for the length of the
        // value.
        let length = usize::from(u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?]));
        let (value, rest) = rest.get(3..)?.split_at_checked(length)?;
        if &name[1..] == b":event-type" {
            return NAMES.into_iter().find(|known| known.as_bytes() == value);
        }
        headers = rest;
    }
    None
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}
