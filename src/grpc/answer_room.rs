//! Reads Bedrock's answers that are not streams, within the memory budget.

use std::time::Duration;

use bytes::BytesMut;

use super::{context::CallContext, prepare::Ready, receive::saturated};
use crate::{
    bedrock::AnswerBody,
    bounds::{Share, ShareOwner, Shares},
    error::Failure,
    stream::silent_for,
};

/// The smallest step in which an answer takes memory, in bytes. An answer of CountTokens needs one.
const STEP: usize = 1 << 10;

/// The limits on the memory and the time of an answer.
pub(super) struct AnswerRoom<'a> {
    /// The memory budget, which requests and answers share.
    memory: &'a Shares,
    /// The budget when the call began, in bytes.
    begun_with: usize,
    peer: ShareOwner,
    /// The maximum time for which Bedrock may send nothing.
    idle: Duration,
}

impl<'a> AnswerRoom<'a> {
    /// Returns the limits on the answer to a call.
    pub(super) fn new(
        memory: &'a Shares,
        peer: ShareOwner,
        context: &CallContext,
        ready: &Ready,
    ) -> Self {
        let of_all = &context.generation.limits;
        Self {
            memory,
            begun_with: context.generation.memory,
            peer,
            idle: ready.target.limits.idle.unwrap_or(of_all.idle),
        }
    }

    /// Reads the whole body, which has at most `most` bytes. Also returns its memory: twice the
    /// size, for the body and for its copy in the message to the client. The memory must be held
    /// until the client has read that message.
    ///
    /// # Errors
    /// Fails if the body is larger, if there is not enough memory, if Bedrock sends nothing for too
    /// long, or if the connection broke.
    pub(super) async fn read(
        &self,
        mut body: AnswerBody,
        most: usize,
    ) -> Result<(BytesMut, Share), Failure> {
        let held = self
            .memory
            .take_as_begun(self.peer, STEP, self.begun_with)
            .map_err(saturated)?;
        // Bedrock has billed the answer, so its memory must not be given to another client.
        held.keep().map_err(saturated)?;
        let mut taken = STEP;
        let mut read = BytesMut::new();
        loop {
            let next = tokio::time::timeout(self.idle, body.next()).await;
            let Some(piece) = next.map_err(|_| silent_for(self.idle))?? else {
                return Ok((read, held));
            };
            let length = read.len() + piece.len();
            if length > most {
                return Err(body.too_long(most));
            }
            let needed = length.saturating_mul(2);
            if needed > taken {
                let more = (needed - taken).max(taken).min(4 * most);
                held.grow(more).map_err(saturated)?;
                taken += more;
            }
            read.extend_from_slice(&piece);
        }
    }
}
