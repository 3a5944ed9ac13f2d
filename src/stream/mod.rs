//! The engine of a call: Bedrock's frames in, messages of the stream out.
//!
//! The gRPC body polls the pump, the pump polls Bedrock's body: no task and no channel lies between
//! a token and its client, and who does not read makes nobody read. Dropping the pump closes the
//! call to Bedrock.
//!
//! | file | job |
//! |---|---|
//! | `core` | the state machine |
//! | `answer` | Bedrock's answer, which counts as long as it is open |
//! | `bell` | keeps those who ask in vain from a call that has nothing to send |
//! | `call` | what a call needs, and how it can fail |
//! | `clocks` | all of its clocks, on one timer |
//! | `failure` | how a call can fail while it is in progress |
//! | `grammar` | what a stream must look like |
//! | `interrupt` | the end of a drain |
//! | `leftover` | what is read when no client is there for it |
//! | `origin` | where an answer comes from, for clients |
//! | `report` | what is told of a call when it is over: one log line, its counters, its spans |
//! | `reset` | how a call is taken away from a client that does not take it |

mod answer;
mod bell;
mod call;
mod clocks;
mod core;
mod failure;
mod grammar;
mod interrupt;
mod leftover;
pub(crate) mod origin;
mod report;
mod reset;

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use tokio::time::Instant;

use self::{
    bell::Bell,
    core::{Core, Watch},
};
use crate::{config::OnCancel, pb::StreamInvokeResponse};
pub(crate) use call::{Call, Failed};
pub(crate) use clocks::Times;
pub(crate) use report::{Arrival, CallReport};
pub(crate) use reset::Watchdog;
pub use reset::resettable;

/// A call in progress, as the stream of its messages.
pub(crate) struct Pump {
    /// Shared with the watchdog alone, which looks at it once in a while.
    core: Arc<Mutex<Core>>,
    watchdog: Watchdog,
    on_cancel: OnCancel,
    /// The first message, if it was waited for.
    first: Option<StreamInvokeResponse>,
    bell: Bell,
}

impl Pump {
    /// Begins a call.
    pub(crate) fn start(call: Call) -> Self {
        let (write_stall, on_cancel) = (call.write_stall, call.on_cancel);
        let core = Arc::new(Mutex::new(Core::start(call)));
        let watching = watch(Arc::downgrade(&core), write_stall, reset::Stream::this());
        let watchdog = Watchdog::start(watching);
        Self {
            core,
            watchdog,
            on_cancel,
            first: None,
            bell: Bell::default(),
        }
    }

    /// What looks after the call, and then after its answer as long as that is not taken: for the
    /// response.
    pub(crate) fn watchdog(&self) -> Watchdog {
        self.watchdog.clone()
    }

    /// The next message, for those who wait for it before there is a response. Each poll looks at
    /// all of the call: the deadline's layer counts on it that a call which could tell its end has
    /// done so.
    pub(crate) async fn next(&mut self) -> Option<Result<StreamInvokeResponse, Box<Failed>>> {
        poll_fn(|cx| lock(&self.core).poll(cx)).await
    }

    /// Waits until there is something to send, which is then the stream's first item: so an error
    /// before Bedrock's first event can go out as the whole response, which clients' retry policies
    /// need.
    ///
    /// # Errors
    /// The call failed before anything was sent.
    pub(crate) async fn commit(mut self, headers_after: Duration) -> Result<Self, Box<Failed>> {
        let first = tokio::time::timeout(headers_after, self.next());
        if let Ok(Some(first)) = first.await {
            self.first = Some(first?);
        }
        Ok(self)
    }
}

impl Stream for Pump {
    type Item = Result<StreamInvokeResponse, Box<Failed>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        this.bell.poll(cx, |cx| lock(&this.core).poll(cx))
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        if let Some(leftover) = lock(&self.core).abandon() {
            leftover.settle(self.on_cancel);
        }
    }
}

/// A call whose poll panicked is over: nobody polls it again, and its drop only closes things.
fn lock(core: &Mutex<Core>) -> MutexGuard<'_, Core> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the call of a client that takes nothing: HTTP/2 does not poll a body for which the client
/// leaves no room, so the call's own clocks stand still.
///
/// Then the client may still take what was ready, and the status. One that does not take that
/// either loses its stream, and with it the call's place. The pump may be gone by then; whoever
/// takes all of its answer ends this.
async fn watch(core: Weak<Mutex<Core>>, write_stall: Duration, stream: Option<reset::Stream>) {
    while let Some(core) = core.upgrade() {
        let next = match lock(&core).watch(Instant::now(), write_stall) {
            Watch::At(next) => next,
            Watch::Over => break,
        };
        drop(core);
        tokio::time::sleep_until(next).await;
    }
    let asked = || core.upgrade().is_some_and(|core| lock(&core).asked());
    let _so_far = asked();
    loop {
        tokio::time::sleep(write_stall).await;
        if !asked() {
            break;
        }
    }
    if let Some(stream) = stream {
        stream.reset();
    }
}
