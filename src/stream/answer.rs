//! The stream of Bedrock's events for one attempt.

use std::task::{Context, Poll};

use crate::{
    bedrock::{BedrockEvent, BedrockEvents},
    error::Failure,
    routing::OpenCall,
};

/// The events of an attempt. It counts as an open upstream call until it is dropped.
pub(super) struct UpstreamAnswer {
    // Fields are dropped in this order, so that the count is already right when Bedrock sees the
    // end of the call.
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
