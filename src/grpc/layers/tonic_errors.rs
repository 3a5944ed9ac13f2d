//! Rewrites the errors that tonic itself returns: an unknown method, an unknown encoding,
//! undecodable bytes, or a message that is too large.
//!
//! tonic returns these errors without details. For a message that is too large, it returns
//! OUT_OF_RANGE or, if the message became too large by decompression, RESOURCE_EXHAUSTED, which is
//! gRPC's convention. This layer gives these errors the same details as all other errors.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response, uri::PathAndQuery};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    error::{Failure, Reason},
    grpc::{context::CallContext, status},
};

/// The prefix of the paths of the gateway's services.
const OURS: &str = "/bedrock.";

#[derive(Clone, Copy, Debug)]
pub(super) struct TonicErrorsLayer;

#[derive(Clone, Debug)]
pub(super) struct TonicErrorsService<S> {
    inner: S,
}

impl<S> Layer<S> for TonicErrorsLayer {
    type Service = TonicErrorsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TonicErrorsService { inner }
    }
}

impl<S, B, R> Service<Request<B>> for TonicErrorsService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TonicErrorsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let context = request.extensions().get::<CallContext>().cloned();
        let path = request.uri().path_and_query().cloned();
        TonicErrorsFuture {
            inner: self.inner.call(request),
            context,
            path,
        }
    }
}

pin_project! {
    pub(super) struct TonicErrorsFuture<F> {
        #[pin]
        inner: F,
        context: Option<CallContext>,
        path: Option<PathAndQuery>,
    }
}

impl<F, R, E> Future for TonicErrorsFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        let path = this.path.as_ref().map_or("", PathAndQuery::path);
        if let Some(failure) = refused(response.headers(), path) {
            let request_id = this
                .context
                .as_ref()
                .map_or("", |context| context.request_id.as_ref());
            let status = status::status(&failure, &[], request_id);
            let headers = response.headers_mut();
            headers.remove("grpc-message");
            // This fails only for invalid header values, and the status table has only valid ones.
            let _written = status.add_header(headers);
        }
        Poll::Ready(Ok(response))
    }
}

/// Returns the failure for an error of tonic. `None` for all other responses. They can be
/// distinguished because the gateway itself never returns OUT_OF_RANGE, and returns all other
/// errors with details.
fn refused(headers: &HeaderMap, path: &str) -> Option<Failure> {
    let code = Code::from_bytes(headers.get("grpc-status")?.as_bytes());
    if code != Code::OutOfRange && headers.contains_key("grpc-status-details-bin") {
        return None;
    }
    let told = || {
        Status::from_header_map(headers)
            .map_or_else(String::new, |status| status.message().to_owned())
    };
    Some(match code {
        Code::OutOfRange | Code::ResourceExhausted => Failure::new(
            Reason::MessageTooLarge,
            format!(
                "the request is larger than this gateway allows ({}); send less, send media as s3_location, or ask the operator to raise limits.max_request_size",
                told()
            ),
        ),
        Code::Unimplemented => Failure::new(
            Reason::Unimplemented,
            match told() {
                none if none.is_empty() => format!("unknown method {path}"),
                told => told,
            },
        ),
        // Errors of other services are not changed.
        Code::Internal if path.starts_with(OURS) => Failure::new(
            Reason::MessageUnreadable,
            format!("the request's message cannot be decoded: {}", told()),
        ),
        _ => return None,
    })
}
