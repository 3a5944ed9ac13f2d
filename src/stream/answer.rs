//! Wraps the stream of Bedrock's events for one attempt.

use std::task::{Context, Poll};

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

    /// Returns whether the next event waits for memory of the gateway, and not for Bedrock.
    pub(super) fn waits_for_memory(&self) -> bool {
        self.frames.waits_for_memory()
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

    pub(super) async fn next(&mut self) -> Option<Result<BedrockEvent, Failure>> {
        self.frames.next().await
    }
}
