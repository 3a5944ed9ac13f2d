//! A call that never reaches its service: its client sends the request's message too slowly, or not
//! at all.
//!
//! The service itself enforces the deadline and the end of a drain, and knows more about the call.
//! This layer acts only while there is no service call yet.

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
    config::Limits,
    error::{Failure, Phase, Reason},
    grpc::{context::CallContext, status},
};

/// How much later than the service this layer acts.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(super) struct DeadlineLayer {
    pub(super) limits: Arc<Limits>,
    /// Cancelled when the drain has expired.
    pub(super) cut: CancellationToken,
}

#[derive(Clone, Debug)]
pub(super) struct DeadlineService<S> {
    inner: S,
    limits: Arc<Limits>,
    cut: CancellationToken,
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService {
            inner,
            limits: Arc::clone(&self.limits),
            cut: self.cut.clone(),
        }
    }
}

impl<S, B> Service<Request<B>> for DeadlineService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let context = request
            .extensions()
            .get::<CallContext>()
            .cloned()
            .unwrap_or_else(|| CallContext::read(request.headers()));
        let deadline = context.deadline(&self.limits, None);
        DeadlineFuture {
            inner: self.inner.call(request),
            over: sleep_until(deadline + GRACE),
            cut: self.cut.clone().cancelled_owned(),
            context,
        }
    }
}

pin_project! {
    pub(super) struct DeadlineFuture<F> {
        #[pin]
        inner: F,
        #[pin]
        over: Sleep,
        #[pin]
        cut: WaitForCancellationFutureOwned,
        context: CallContext,
    }
}

impl<F, E> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(response) = this.inner.poll(cx) {
            return Poll::Ready(response);
        }
        // The service was polled first: if it could report the same, it has.
        let failure = if this.over.poll(cx).is_ready() {
            Failure::new(
                Reason::DeadlineExceeded,
                "the call's deadline is over, and its request was not complete",
            )
        } else if this.cut.poll(cx).is_ready() {
            Failure::new(
                Reason::Draining,
                "this replica stops, and the call's request was not complete; try again",
            )
        } else {
            return Poll::Pending;
        };
        let failure = failure.in_phase(Phase::Connect);
        let status = status::status(&failure, &[], &this.context.request_id);
        Poll::Ready(Ok(status.into_http()))
    }
}
