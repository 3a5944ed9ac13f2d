//! Runs a call: reads Bedrock's events and produces the messages of the gRPC stream.
//!
//! The gRPC response body polls the call, and the call polls Bedrock's response body, without a
//! task or a channel between them. So if the client stops reading, the gateway stops reading from
//! Bedrock (back-pressure). Dropping the call closes the call to Bedrock.
//!
//! | file | job |
//! |---|---|
//! | `state_machine` | the stages of a call, from the first attempt to its outcome |
//! | `operation` | the trait of the streaming operations of Bedrock |
//! | `converse` | ConverseStream: converts its events to messages |
//! | `native` | InvokeModelWithResponseStream: converts its chunks to messages, detects their end |
//! | `native_chunk` | reads one chunk in a model's own format: end markers, token counts |
//! | `native_units` | the images and queries of answers in the models' own formats |
//! | `native_usage` | the token counts of answers in the models' own formats |
//! | `answer` | the stream of Bedrock's events, which counts as open until it is dropped |
//! | `decoding` | decodes events, large ones on separate threads |
//! | `wake_filter` | skips polls when no source has woken the call |
//! | `call` | the inputs of a call, and the result of a failed one |
//! | `client_end` | whether the client still reads messages |
//! | `outbox` | the messages that are ready for the client |
//! | `coalesce` | joins deltas for clients that want fewer messages |
//! | `timers` | the time limits of a call and its heartbeats, on one timer |
//! | `failure` | the failures of a call in progress |
//! | `grammar` | checks the order of events, and adds missing ones |
//! | `drain_expiry` | waits for the expiry of a drain |
//! | `on_cancel` | closes or reads the rest of Bedrock's stream after the client has disconnected |
//! | `answer_origin` | the route and the attempts behind an answer, as messages for clients |
//! | `report` | the log line, counters and spans of a call that has ended |
//! | `reset` | resets a stream whose client has stopped reading |

mod answer;
pub(crate) mod answer_origin;
mod call;
mod client_end;
mod coalesce;
mod converse;
mod decoding;
mod drain_expiry;
mod failure;
mod grammar;
mod native;
mod native_chunk;
pub(crate) mod native_units;
pub(crate) mod native_usage;
mod on_cancel;
mod operation;
mod outbox;
mod report;
mod reset;
mod state_machine;
mod timers;
mod wake_filter;

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use tokio::time::Instant;

use self::{client_end::Watch, state_machine::StateMachine, wake_filter::WakeFilter};
use crate::{access::Revocation, config::OnCancel};
pub(crate) use call::{Call, Failed};
pub(crate) use converse::Converse;
pub(crate) use decoding::{AnswerThreads, is_large};
pub(crate) use failure::{deadline_exceeded, draining, no_memory, revoked, silent_for};
pub(crate) use native::{Native, NativeAnswers};
pub(crate) use operation::Operation;
pub(crate) use report::{
    Arrival, Bill, CallReport, Ceiling, RateLimits, billing_of, log_detail, price_of,
};
pub(crate) use reset::Watchdog;
pub use reset::resettable;
pub(crate) use timers::Times;

/// A call in progress, as the stream of its messages.
pub(crate) struct CallStream<O: Operation> {
    /// The call. The watchdog shares it, but checks it rarely.
    core: Arc<Mutex<StateMachine<O>>>,
    watchdog: Watchdog,
    on_cancel: OnCancel,
    /// The first message, if [`CallStream::commit`] has waited for it.
    first: Option<O::Message>,
    wake_filter: WakeFilter,
}

impl<O: Operation> CallStream<O> {
    /// Starts a call.
    pub(crate) fn start(call: Call<O>) -> Self {
        let (write_stall, on_cancel) = (call.write_stall, call.on_cancel);
        let revocation = call.revocation.clone();
        let core = Arc::new(Mutex::new(StateMachine::start(call)));
        let stream = reset::Stream::this();
        let watching = watch(Arc::downgrade(&core), write_stall, revocation, stream);
        let watchdog = Watchdog::start(watching);
        Self {
            core,
            watchdog,
            on_cancel,
            first: None,
            wake_filter: WakeFilter::default(),
        }
    }

    /// Returns the watchdog for the response. The watchdog watches the call until it ends, and then
    /// until the client has read the answer.
    pub(crate) fn watchdog(&self) -> Watchdog {
        self.watchdog.clone()
    }

    /// Returns the next message, for calls whose response has not begun. Each poll checks all time
    /// limits of the call; the deadline layer relies on this.
    pub(crate) async fn next(&mut self) -> Option<Result<O::Message, Box<Failed>>> {
        poll_fn(|cx| lock(&self.core).poll(cx)).await
    }

    /// Waits for the first message, which becomes the first item of the stream. An error before the
    /// first event is then sent as the whole response, as clients' retry policies require. After
    /// `headers_after`, returns without a message.
    ///
    /// # Errors
    /// Returns the failure if the call fails before anything is sent.
    pub(crate) async fn commit(mut self, headers_after: Duration) -> Result<Self, Box<Failed>> {
        let first = tokio::time::timeout(headers_after, self.next());
        if let Ok(Some(first)) = first.await {
            self.first = Some(first?);
        }
        Ok(self)
    }
}

/// Messages are moved out and never pinned.
impl<O: Operation> Unpin for CallStream<O> {}

impl<O: Operation> Stream for CallStream<O> {
    type Item = Result<O::Message, Box<Failed>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        this.wake_filter.poll(cx, |cx| lock(&this.core).poll(cx))
    }
}

impl<O: Operation> Drop for CallStream<O> {
    fn drop(&mut self) {
        if let Some(cancelled) = lock(&self.core).abandon() {
            cancelled.settle(self.on_cancel);
        }
    }
}

/// Locks a call, even if a poll of the call panicked: such a call is not polled again, and dropping
/// it only closes resources.
fn lock<O: Operation>(core: &Mutex<StateMachine<O>>) -> MutexGuard<'_, StateMachine<O>> {
    core.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the call if its client stops reading or its credential is revoked. HTTP/2 does not poll the
/// response body while the client leaves no flow-control window. The call's own timers do not run
/// then, so this task runs its own.
///
/// After the call has ended, the client can still read the messages that are ready, and the status.
/// If it does not, its stream is reset and the call's slot is released. Dropping the body ends this
/// task.
async fn watch<O: Operation>(
    core: Weak<Mutex<StateMachine<O>>>,
    write_stall: Duration,
    revocation: Option<Arc<Revocation>>,
    stream: Option<reset::Stream>,
) {
    while let Some(call) = core.upgrade() {
        let next = match lock(&call).watch(Instant::now(), write_stall) {
            Watch::At(next) => next,
            Watch::Over => break,
        };
        drop(call);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            () = Revocation::revoked(revocation.as_deref()) => {
                if let Some(call) = core.upgrade() {
                    lock(&call).revoke();
                }
                break;
            }
        }
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
