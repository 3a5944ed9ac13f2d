//! Joins deltas of one block that arrive shortly after each other, for clients that want fewer and
//! larger messages.
//!
//! A delta is held back only if the last message was a delta of the same block and kind, and was
//! sent less than the interval ago. Any other message is sent at once, after the deltas that are
//! held back. So the first delta of a block and the end of the answer are never delayed.
//!
//! No delta is held back that would be sent shortly before the deadline of the call, because the
//! client's timer may end the call before it receives the delta. Large deltas are not held back
//! either, because their memory is counted only until the next event is read.
//!
//! Deltas with unknown members are joined only if these members are equal. The joined message then
//! contains them once, so nothing is lost.

use std::{mem, time::Duration};

use prost::Message as _;
use tokio::time::Instant;

use crate::pb::{
    StreamInvokeResponse, content_block_delta_event::Delta,
    reasoning_content_block_delta::Delta as Reasoning, stream_invoke_response::Event,
};

/// The maximum size of the message that is held back, in bytes, and the maximum number of deltas.
/// They limit the memory of a call and the work of one poll. No model is fast enough to reach them.
/// The memory budget does not count events up to this size.
const MAX_SIZE: usize = 16 << 10;
const MAX_DELTAS: u64 = 256;
/// The minimum time between the sending of deltas that were held back and the deadline. The message
/// must reach the client before the client's own timer ends the call.
const MARGIN: Duration = Duration::from_millis(100);

/// Joins the deltas of a stream.
#[derive(Debug)]
pub(super) struct Coalescer {
    interval: Duration,
    /// The latest time at which deltas that are held back may be sent.
    latest: Option<Instant>,
    /// The position and the time of the last message that was sent, if it was a delta.
    last: Option<(BlockPosition, Instant)>,
    held: Option<Joined>,
}

/// Deltas that are sent as one message.
#[derive(Debug)]
pub(super) struct Joined {
    place: BlockPosition,
    pub(super) message: StreamInvokeResponse,
    /// The number of deltas from Bedrock.
    pub(super) deltas: u64,
    /// The approximate size of the message, in bytes.
    size: usize,
}

/// The block and the member to which the text of a delta is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockPosition {
    block: i32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    ToolInput,
}

impl Coalescer {
    /// Creates a coalescer that joins deltas that arrive within this time after a message, for a
    /// call with this deadline.
    pub(super) fn new(interval: Duration, deadline: Instant) -> Self {
        Self {
            interval,
            latest: deadline.checked_sub(MARGIN),
            last: None,
            held: None,
        }
    }

    /// Returns whether the deltas that are held back must be sent before this message.
    pub(super) fn must_flush_before(&self, message: &StreamInvokeResponse) -> bool {
        self.held.as_ref().is_some_and(|held| {
            place_of(message) != Some(held.place)
                || message.raw_members != held.message.raw_members
                || held.size + message.encoded_len() > MAX_SIZE
        })
    }

    /// Returns whether the deltas that are held back must be sent because of their size or number.
    pub(super) fn is_full(&self) -> bool {
        self.held
            .as_ref()
            .is_some_and(|held| held.deltas >= MAX_DELTAS || held.size >= MAX_SIZE)
    }

    /// Returns the message if it must be sent now. Otherwise holds it back.
    pub(super) fn offer(
        &mut self,
        mut message: StreamInvokeResponse,
        now: Instant,
    ) -> Option<StreamInvokeResponse> {
        if let Some(held) = &mut self.held {
            if let (Some(all), Some(next)) = (text(&mut held.message), text(&mut message)) {
                all.push_str(next);
                held.size += next.len();
                held.deltas += 1;
            }
            return None;
        }
        let place = place_of(&message);
        let size = message.encoded_len();
        if let Some(place) = place
            && let Some(due) = self.due_after(place)
            && now < due
            && self.latest.is_some_and(|latest| due <= latest)
            && size < MAX_SIZE
        {
            self.held = Some(Joined {
                place,
                message,
                deltas: 1,
                size,
            });
            return None;
        }
        self.last = place.map(|place| (place, now));
        Some(message)
    }

    /// Returns when the deltas that are held back must be sent.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due_after(self.held.as_ref()?.place)
    }

    /// Returns the deltas that are held back, to send them now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Joined> {
        let held = mem::take(&mut self.held)?;
        self.last = Some((held.place, now));
        Some(held)
    }

    fn due_after(&self, place: BlockPosition) -> Option<Instant> {
        let (last, sent) = self.last?;
        (last == place).then(|| sent + self.interval)
    }
}

/// Returns the position at which the text of a message is appended. `None` if the message has no
/// text to join.
fn place_of(message: &StreamInvokeResponse) -> Option<BlockPosition> {
    let Some(Event::ContentBlockDelta(delta)) = &message.event else {
        return None;
    };
    let kind = match delta.delta.as_ref()? {
        Delta::Text(_) => Kind::Text,
        Delta::ToolUse(_) => Kind::ToolInput,
        Delta::ReasoningContent(reasoning) => match reasoning.delta.as_ref()? {
            Reasoning::Text(_) => Kind::Reasoning,
            Reasoning::RedactedContent(_) | Reasoning::Signature(_) => return None,
        },
        Delta::ToolResult(_) | Delta::Citation(_) | Delta::Image(_) => return None,
    };
    Some(BlockPosition {
        block: delta.content_block_index,
        kind,
    })
}

fn text(message: &mut StreamInvokeResponse) -> Option<&mut String> {
    let Some(Event::ContentBlockDelta(delta)) = &mut message.event else {
        return None;
    };
    match delta.delta.as_mut()? {
        Delta::Text(text) => Some(text),
        Delta::ToolUse(tool_use) => Some(&mut tool_use.input),
        Delta::ReasoningContent(reasoning) => match reasoning.delta.as_mut()? {
            Reasoning::Text(text) => Some(text),
            Reasoning::RedactedContent(_) | Reasoning::Signature(_) => None,
        },
        Delta::ToolResult(_) | Delta::Citation(_) | Delta::Image(_) => None,
    }
}
