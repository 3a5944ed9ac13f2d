//! Ends calls that never reach their service because the client sends the message too slowly or not
//! at all.
//!
//! When a service has received the call, the service itself enforces the deadline and the end of a
//! drain, with more details in its errors. This layer acts only before that.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    error::{Failure, Phase, Reason},
    grpc::{context::CallContext, status},
};

/// The delay of this layer, so that the service can act first.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(super) struct ReceiveDeadlineLayer {
    /// Cancelled when the drain expires.
    pub(super) cut: CancellationToken,
}

#[derive(Clone, Debug)]
pub(super) struct ReceiveDeadlineService<S> {
    inner: S,
    cut: CancellationToken,
}

impl<S> Layer<S> for ReceiveDeadlineLayer {
    type Service = ReceiveDeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ReceiveDeadlineService {
            inner,
            cut: self.cut.clone(),
        }
    }
}

impl<S, B> Service<Request<B>> for ReceiveDeadlineService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ReceiveDeadlineFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let context = request.extensions().get::<CallContext>();
        let over = context.map(|context| sleep_until(context.deadline(None) + GRACE));
        let request_id = context.map(|context| Arc::clone(&context.request_id));
        ReceiveDeadlineFuture {
            inner: self.inner.call(request),
            over,
            cut: self.cut.clone().cancelled_owned(),
            request_id: request_id.unwrap_or_default(),
        }
    }
}

pin_project! {
    pub(super) struct ReceiveDeadlineFuture<F> {
        #[pin]
        inner: F,
        #[pin]
        over: Option<Sleep>,
        #[pin]
        cut: WaitForCancellationFutureOwned,
        request_id: Arc<str>,
    }
}

impl<F, E> Future for ReceiveDeadlineFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(response) = this.inner.poll(cx) {
            return Poll::Ready(response);
        }
        // The service was polled before this, so it could have reported the deadline itself.
        let is_over = this
            .over
            .as_pin_mut()
            .is_some_and(|over| over.poll(cx).is_ready());
        let failure = if is_over {
            Failure::new(
                Reason::DeadlineExceeded,
                "the call's deadline passed before the request was complete; send the request faster or set a longer deadline",
            )
        } else if this.cut.poll(cx).is_ready() {
            Failure::new(
                Reason::Draining,
                "this replica is shutting down, and the request was not complete; retry the call",
            )
        } else {
            return Poll::Pending;
        };
        let failure = failure.in_phase(Phase::Connect);
        let status = status::status(&failure, &[], this.request_id);
        Poll::Ready(Ok(status.into_http()))
    }
}
