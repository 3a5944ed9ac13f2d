//! How a call is taken away from a client that does not take it.
//!
//! While a client leaves no room, HTTP/2 does not ask a response's body for more, so that nothing
//! in a body can end it. The task in which a stream runs can be ended: it drops its end of the
//! stream, which HTTP/2 tells the client by RST_STREAM (CANCEL), and with it all that the call
//! holds. Other streams of the connection do not notice.

use std::sync::Arc;

use futures_util::future::{AbortHandle, Abortable};
use tokio::time::{Instant, sleep_until};

tokio::task_local! {
    static THIS: AbortHandle;
}

/// Runs a stream such that a call in it can end it. `None`: it did.
///
/// For HTTP/1.1, which has one call at a time, it is the connection that is run like this.
pub async fn resettable<F: Future>(stream: F) -> Option<F::Output> {
    let (handle, registration) = AbortHandle::new_pair();
    let stream = Abortable::new(THIS.scope(handle, stream), registration);
    stream.await.ok()
}

/// The stream that a call runs in.
#[derive(Clone, Debug)]
pub(super) struct Stream(AbortHandle);

impl Stream {
    /// The one in which this is asked. `None` if it is not run by [`resettable`].
    pub(super) fn this() -> Option<Self> {
        THIS.try_with(|handle| Self(handle.clone())).ok()
    }

    /// Ends it. The client hears of it if it listens at all.
    pub(super) fn reset(&self) {
        tracing::debug!("a stream is reset: its client does not take the end of its call");
        self.0.abort();
    }
}

/// A task that looks after an answer until it is taken. It travels in the response's extensions to
/// the body that holds the call's place; when the last clone is gone, so is the task.
#[derive(Clone, Debug)]
pub(crate) struct Watchdog(#[expect(dead_code, reason = "dropped")] Arc<Task>);

#[derive(Debug)]
struct Task(tokio::task::AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watchdog {
    pub(super) fn start(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Arc::new(Task(tokio::spawn(task).abort_handle())))
    }

    /// Resets this stream if its answer is not taken by then.
    pub(crate) fn until(limit: Instant) -> Self {
        let stream = Stream::this();
        Self::start(async move {
            sleep_until(limit).await;
            if let Some(stream) = stream {
                stream.reset();
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_ends_itself_and_no_other() {
        let other = resettable(async {
            let reset = resettable(async {
                Stream::this().unwrap().reset();
                std::future::pending::<()>().await;
            });
            assert_eq!(reset.await, None);
            tokio::task::yield_now().await;
            7
        });
        assert_eq!(other.await, Some(7));
        assert!(Stream::this().is_none());
    }
}
