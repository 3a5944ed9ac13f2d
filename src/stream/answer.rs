//! Wraps the stream of Bedrock's events for one attempt.

use std::task::{Context, Poll};

use super::timers::Timers;
use crate::{
    bedrock::{BedrockEvent, BedrockEvents, FrameRoom},
    error::Failure,
    routing::OpenCall,
};

/// The stream of Bedrock's events for one attempt. The attempt counts as an open upstream call
/// until this value is dropped.
pub(super) struct UpstreamAnswer {
    // Fields are dropped in this order: the count of open calls is corrected before Bedrock sees
    // that the call is closed.
    _open: OpenCall,
    frames: BedrockEvents,
}

impl UpstreamAnswer {
    pub(super) fn new(frames: BedrockEvents, open: OpenCall) -> Self {
        Self {
            _open: open,
            frames,
        }
    }

    /// Returns the memory of the last event, if it is a large one.
    pub(super) fn room(&self) -> Option<FrameRoom> {
        self.frames.room()
    }

    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BedrockEvent, Failure>>> {
        self.frames.poll_next(cx)
    }

    /// Polls for the next event. If there is none yet, tells the timers what the call waits for.
    pub(super) fn poll_timed(
        &mut self,
        cx: &mut Context<'_>,
        timers: &mut Timers,
    ) -> Poll<Option<Result<BedrockEvent, Failure>>> {
        let next = self.poll_next(cx);
        if next.is_pending() {
            if self.frames.waits_for_memory() {
                timers.wait_for_memory();
            } else {
                timers.wait_for_bedrock(self.frames.take_received());
            }
        }
        next
    }

    pub(super) async fn next(&mut self) -> Option<Result<BedrockEvent, Failure>> {
        self.frames.next().await
    }
}
