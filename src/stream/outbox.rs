//! Queues the messages that are ready for the client, in order.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::{
    coalesce::{Coalescer, Joined},
    operation::Outgoing,
};
use crate::pb::{StreamInvokeResponse, stream_invoke_response::Event};

/// The messages of a call that have not been sent yet.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) queue: VecDeque<StreamInvokeResponse>,
    coalescer: Option<Coalescer>,
}

impl Outbox {
    /// Creates an empty outbox that sends each delta as a message.
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            coalescer: None,
        }
    }

    /// Creates an empty outbox that joins deltas that arrive within this time after a message, for
    /// a call with this deadline. If the time is zero, each delta is a message.
    pub(super) fn coalescing(coalesce: Duration, deadline: Instant) -> Self {
        Self {
            coalescer: (!coalesce.is_zero()).then(|| Coalescer::new(coalesce, deadline)),
            ..Self::new()
        }
    }

    /// Returns the next message that can be sent now.
    pub(super) fn next(&mut self) -> Option<Outgoing<StreamInvokeResponse>> {
        let Some(coalescer) = &mut self.coalescer else {
            return self.queue.pop_front().map(Outgoing::from);
        };
        let now = Instant::now();
        while let Some(next) = self.queue.front() {
            if coalescer.must_flush_before(next) {
                return coalescer.take(now).map(Outgoing::from);
            }
            let message = self.queue.pop_front()?;
            if let Some(message) = coalescer.offer(message, now) {
                return Some(message.into());
            }
            if coalescer.is_full() {
                return coalescer.take(now).map(Outgoing::from);
            }
        }
        None
    }

    /// Returns the deltas that are held back, to send them now.
    pub(super) fn flush(&mut self) -> Option<Outgoing<StreamInvokeResponse>> {
        let joined = self.coalescer.as_mut()?.take(Instant::now())?;
        Some(joined.into())
    }

    /// Returns the time at which [`Self::flush`] must be called, if deltas are held back.
    pub(super) fn flush_at(&self) -> Option<Instant> {
        self.coalescer.as_ref()?.due()
    }
}

impl From<StreamInvokeResponse> for Outgoing<StreamInvokeResponse> {
    fn from(message: StreamInvokeResponse) -> Self {
        let is_delta = matches!(message.event, Some(Event::ContentBlockDelta(_)));
        Self {
            message,
            deltas: is_delta.into(),
        }
    }
}

impl From<Joined> for Outgoing<StreamInvokeResponse> {
    fn from(joined: Joined) -> Self {
        Self {
            message: joined.message,
            deltas: joined.deltas,
        }
    }
}
