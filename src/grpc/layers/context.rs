//! Creates the context of a call (time of arrival, request ID, timeout), and adds the request ID to
//! the response.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::grpc::{
    Generations,
    context::{CallContext, REQUEST_ID},
};

#[derive(Clone, Debug)]
pub(super) struct ContextLayer {
    pub(super) generations: Generations,
}

#[derive(Clone, Debug)]
pub(super) struct ContextService<S> {
    inner: S,
    generations: Generations,
}

impl<S> Layer<S> for ContextLayer {
    type Service = ContextService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ContextService {
            inner,
            generations: self.generations.clone(),
        }
    }
}

impl<S, B, R> Service<Request<B>> for ContextService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ContextFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let context = CallContext::read(request.headers(), self.generations.current());
        let request_id = HeaderValue::from_str(&context.request_id).ok();
        request.extensions_mut().insert(context);
        ContextFuture {
            inner: self.inner.call(request),
            request_id,
        }
    }
}

pin_project! {
    pub(super) struct ContextFuture<F> {
        #[pin]
        inner: F,
        request_id: Option<HeaderValue>,
    }
}

impl<F, R, E> Future for ContextFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if let Some(request_id) = this.request_id.take() {
            response.headers_mut().insert(REQUEST_ID, request_id);
        }
        Poll::Ready(Ok(response))
    }
}
