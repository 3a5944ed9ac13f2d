//! Catches panics, so that a panic ends only its own call, with INTERNAL.
//!
//! Without this layer, hyper would reset the stream, and clients would see CANCELLED.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    error::{Failure, Phase, Reason},
    grpc::{context::CallContext, status},
    telemetry::log::panic_message,
};

#[derive(Clone, Copy, Debug)]
pub(super) struct CatchPanicLayer;

#[derive(Clone, Debug)]
pub(super) struct CatchPanicService<S> {
    inner: S,
}

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanicService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CatchPanicService { inner }
    }
}

impl<S, B> Service<Request<B>> for CatchPanicService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = CatchPanicFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let context = request.extensions().get::<CallContext>().cloned();
        let inner = catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok();
        CatchPanicFuture { inner, context }
    }
}

pin_project! {
    pub(super) struct CatchPanicFuture<F> {
        #[pin]
        inner: Option<F>,
        context: Option<CallContext>,
    }
}

impl<F, E> Future for CatchPanicFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = match this.inner.as_mut().as_pin_mut() {
            Some(inner) => catch_unwind(AssertUnwindSafe(|| inner.poll(cx))),
            None => Err(Box::new("in the service's call") as Box<dyn Any + Send>),
        };
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(response))) => {
                let context = this.context.take();
                Poll::Ready(Ok(response.map(|inner| {
                    Body::new(CatchPanicBody {
                        inner,
                        context,
                        panicked: false,
                    })
                })))
            }
            Ok(Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            Err(panic) => {
                let status = told(&*panic, Phase::BeforeFirstEvent, this.context.as_ref());
                Poll::Ready(Ok(status.into_http()))
            }
        }
    }
}

/// A response body that ends with INTERNAL if the inner body panics.
struct CatchPanicBody {
    inner: Body,
    context: Option<CallContext>,
    panicked: bool,
}

impl HttpBody for CatchPanicBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.panicked {
            return Poll::Ready(None);
        }
        match catch_unwind(AssertUnwindSafe(|| {
            Pin::new(&mut this.inner).poll_frame(cx)
        })) {
            Ok(polled) => polled,
            Err(panic) => {
                this.panicked = true;
                let status = told(&*panic, Phase::MidStream, this.context.as_ref());
                let mut trailers = HeaderMap::new();
                // This fails only for invalid header values, and the status table has only valid
                // ones.
                let _written = status.add_header(&mut trailers);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.panicked || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Logs a panic, and returns its status. The status does not contain the details.
fn told(panic: &(dyn Any + Send), phase: Phase, context: Option<&CallContext>) -> Status {
    let request_id = context.map_or("", |context| context.request_id.as_ref());
    let trace = context.map(|context| &context.trace);
    tracing::error!(
        panic = panic_message(panic),
        request_id,
        trace_id = trace.map(|trace| tracing::field::display(trace.trace_id)),
        span_id = trace.map(|trace| tracing::field::display(trace.span_id)),
        "a call panicked; this is a bug"
    );
    let failure = Failure::new(
        Reason::Panic,
        "a bug in the gateway ended this call; the gateway's log has details under the request ID",
    )
    .in_phase(phase);
    status::status(&failure, &[], request_id)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt, StreamBody};
    use tonic::Code;
    use tower::{ServiceExt, service_fn};

    use super::*;

    fn request() -> Request<()> {
        Request::new(())
    }

    #[tokio::test]
    async fn a_panicking_handler_answers_internal() {
        let service = CatchPanicLayer.layer(service_fn(|_: Request<()>| async {
            panic!("on purpose");
            #[expect(unreachable_code, reason = "gives the future its type")]
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }));
        let response = service.oneshot(request()).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
    }

    #[tokio::test]
    async fn a_panicking_body_keeps_what_came_and_ends_in_internal() {
        let service = CatchPanicLayer.layer(service_fn(|_: Request<()>| async {
            let mut polls = 0;
            let frames = futures_util::stream::poll_fn(move |_| {
                polls += 1;
                assert!(polls < 2, "on purpose");
                Poll::Ready(Some(Ok::<_, Status>(Frame::data(Bytes::from_static(
                    b"token",
                )))))
            });
            Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(frames))))
        }));
        let body = service.oneshot(request()).await.unwrap().into_body();
        let collected = body.collect().await.unwrap();
        let status = Status::from_header_map(collected.trailers().unwrap()).unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(collected.to_bytes(), "token");
    }
}
