//! Waits for the expiry of a drain, at almost no cost per poll.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Waits for a [`CancellationToken`]. Registering a waker locks the token, so each waker is
/// registered only once.
pub(super) struct DrainExpiry {
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    token: CancellationToken,
    waker: Option<Waker>,
}

impl DrainExpiry {
    pub(super) fn new(token: CancellationToken) -> Self {
        Self {
            cancelled: Box::pin(token.clone().cancelled_owned()),
            token,
            waker: None,
        }
    }

    /// Wakes the task that polled last, for a reason other than the cancellation.
    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let known = self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if known {
            return if self.token.is_cancelled() {
                Poll::Ready(())
            } else {
                Poll::Pending
            };
        }
        self.waker = Some(cx.waker().clone());
        self.cancelled.as_mut().poll(cx)
    }
}
