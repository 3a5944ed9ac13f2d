//! Decodes events. Large ones are decoded on the threads for large messages, because an event of
//! many MiB takes hundreds of milliseconds. The worker would forward no other tokens meanwhile.
//!
//! The call does not read the next event meanwhile. So the order of events is kept, and one event
//! for each call is decoded at a time.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::{answer::UpstreamAnswer, operation::Operation};
use crate::{
    bedrock::{BedrockEvent, FrameRoom},
    bounds::{ShareOwner, Stop, WorkQueue},
    error::{Failure, Reason},
};

/// The maximum size of an event that is decoded on the worker's thread, in bytes. In measurements,
/// 256 KiB took at most 2 ms, and 8 MiB of escapes or numbers 60 to 190 ms.
const SMALL: usize = 256 << 10;

/// Returns whether work on this many bytes of an answer delays the tokens of other streams.
pub(crate) const fn is_large(bytes: usize) -> bool {
    bytes > SMALL
}

/// The threads for work of a call that would delay tokens, and the peer whose turn the work takes.
#[derive(Clone, Debug)]
pub(crate) struct AnswerThreads {
    pub(crate) queue: WorkQueue,
    pub(crate) peer: ShareOwner,
}

impl AnswerThreads {
    /// Runs work on an answer. The work is never refused, because the call has begun. `room` is the
    /// memory that the work needs. It is held until the work has ended, even if the call ends
    /// before.
    ///
    /// # Errors
    /// Fails if the threads have ended with the process.
    pub(crate) fn run<T, F>(
        &self,
        room: Option<FrameRoom>,
        work: F,
    ) -> impl Future<Output = Result<T, Failure>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let running = self.queue.run_begun(self.peer, move |_: &Stop| {
            let result = work();
            drop(room);
            result
        });
        async move {
            let result = running.await;
            result.ok_or_else(|| Failure::new(Reason::Internal, "the gateway is shutting down"))
        }
    }
}

type Running<D> = Pin<Box<dyn Future<Output = Result<D, Failure>> + Send>>;

/// The decoding of the events of a call.
pub(super) struct Decoding<O: Operation> {
    threads: AnswerThreads,
    /// The event that is being decoded on another thread.
    running: Option<Running<O::Decoded>>,
}

impl<O: Operation> Decoding<O> {
    pub(super) fn new(threads: AnswerThreads) -> Self {
        Self {
            threads,
            running: None,
        }
    }

    /// Decodes a small event, and returns it. Begins to decode a large one and returns `None`:
    /// [`Self::poll`] will return the event. `room` is the memory of the event.
    pub(super) fn begin(
        &mut self,
        event: BedrockEvent,
        room: Option<FrameRoom>,
    ) -> Option<Result<O::Decoded, Failure>> {
        if !is_large(event.payload.len()) {
            return Some(O::decode(&event));
        }
        let decoded = self.threads.run(room, move || O::decode(&event));
        self.running = Some(Box::pin(async move { decoded.await? }));
        None
    }

    /// Polls for the event that is being decoded. Returns `None` if there is none.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<O::Decoded, Failure>>> {
        let Some(running) = &mut self.running else {
            return Poll::Ready(None);
        };
        let decoded = ready!(running.as_mut().poll(cx));
        self.running = None;
        Poll::Ready(Some(decoded))
    }

    /// Moves the decoding to the rest of the call.
    pub(super) fn take(&mut self) -> Self {
        Self {
            threads: self.threads.clone(),
            running: self.running.take(),
        }
    }

    /// Returns the next event of an answer, decoded, without a time limit. Returns `None` at the
    /// end of the answer.
    pub(super) async fn next(
        &mut self,
        answer: &mut UpstreamAnswer,
    ) -> Option<Result<O::Decoded, Failure>> {
        loop {
            if let Some(decoded) = poll_fn(|cx| self.poll(cx)).await {
                return Some(decoded);
            }
            match answer.next().await? {
                Ok(event) => {
                    if let Some(decoded) = self.begin(event, answer.room()) {
                        return Some(decoded);
                    }
                }
                Err(failure) => return Some(Err(failure)),
            }
        }
    }

    /// Ends the decoding: its result is not needed.
    pub(super) fn stop(&mut self) {
        self.running = None;
    }
}
