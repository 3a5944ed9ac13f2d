//! Resets a stream whose client has stopped reading.
//!
//! HTTP/2 does not poll the response body while a client leaves no flow-control window, so the body
//! cannot end the call. Instead, the task that runs the stream is aborted. The task then drops its
//! end of the stream and everything that the call holds. The client receives RST_STREAM (CANCEL).
//! Other streams of the connection are not affected.

use std::sync::Arc;

use futures_util::future::{AbortHandle, Abortable};
use tokio::time::{Instant, sleep_until};

tokio::task_local! {
    static THIS: AbortHandle;
}

/// Runs a stream so that its call can abort it. Returns `None` if it was aborted.
///
/// Over HTTP/1.1, the "stream" is the whole connection, which has one call at a time.
pub async fn resettable<F: Future>(stream: F) -> Option<F::Output> {
    let (handle, registration) = AbortHandle::new_pair();
    let stream = Abortable::new(THIS.scope(handle, stream), registration);
    stream.await.ok()
}

/// The stream in which a call runs.
#[derive(Clone, Debug)]
pub(super) struct Stream(AbortHandle);

impl Stream {
    /// Returns the stream of the current task. `None` if the task was not started by
    /// [`resettable`].
    pub(super) fn this() -> Option<Self> {
        THIS.try_with(|handle| Self(handle.clone())).ok()
    }

    /// Aborts the stream. The client receives a reset.
    pub(super) fn reset(&self) {
        tracing::debug!("resetting a stream: its client does not read the end of its call");
        self.0.abort();
    }
}

/// A task that watches an answer until the client has read it. It is passed in the response's
/// extensions to the body that holds the call's slot. Dropping the last clone ends the task.
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

    /// Resets this stream if the client has not read its answer by `limit`.
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
