//! tonic answers a message that is too large with OUT_OF_RANGE, or, when it grew by decompression, with RESOURCE_EXHAUSTED and no
//! details; gRPC's convention is RESOURCE_EXHAUSTED, and ours to say why.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    error::{Failure, Reason},
    grpc::{context::CallContext, status},
};

#[derive(Clone, Copy, Debug)]
pub(super) struct MessageSizeLayer;

#[derive(Clone, Debug)]
pub(super) struct MessageSizeService<S> {
    inner: S,
}

impl<S> Layer<S> for MessageSizeLayer {
    type Service = MessageSizeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        MessageSizeService { inner }
    }
}

impl<S, B, R> Service<Request<B>> for MessageSizeService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = MessageSizeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let context = request.extensions().get::<CallContext>().cloned();
        MessageSizeFuture {
            inner: self.inner.call(request),
            context,
        }
    }
}

pin_project! {
    pub(super) struct MessageSizeFuture<F> {
        #[pin]
        inner: F,
        context: Option<CallContext>,
    }
}

impl<F, R, E> Future for MessageSizeFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if is_of_the_decoder(response.headers()) {
            let request_id = this
                .context
                .as_ref()
                .map_or("", |context| context.request_id.as_ref());
            let headers = response.headers_mut();
            let told = Status::from_header_map(headers)
                .map_or_else(String::new, |status| status.message().to_owned());
            let failure = Failure::new(
                Reason::MessageTooLarge,
                format!(
                    "the request is larger than this gateway allows ({told}); send less, give media by s3_location, \
                     or ask the operator to raise limits.max_request_size"
                ),
            );
            let status = status::status(&failure, &[], request_id);
            headers.remove("grpc-message");
            // Can only fail for metadata that is no header, and the table's is.
            let _written = status.add_header(headers);
        }
        Poll::Ready(Ok(response))
    }
}

/// The gateway itself never answers OUT_OF_RANGE, and never RESOURCE_EXHAUSTED without details: only tonic's decoder does.
fn is_of_the_decoder(headers: &HeaderMap) -> bool {
    let code = headers
        .get("grpc-status")
        .map(|status| Code::from_bytes(status.as_bytes()));
    match code {
        Some(Code::OutOfRange) => true,
        Some(Code::ResourceExhausted) => !headers.contains_key("grpc-status-details-bin"),
        _ => false,
    }
}
