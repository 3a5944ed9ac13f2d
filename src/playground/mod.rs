//! Serves the playground, a web page on the port of gRPC-Web.
//!
//! The page's sources are in `playground/`. Their build output is in `assets/`, so that Node.js is
//! not needed to build the gateway.

mod page;

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{Request, Response};
use tonic::body::Body;
use tower_service::Service;

/// Serves the page to browsers. All other requests are forwarded to the services.
#[derive(Clone, Debug)]
pub struct Playground<S> {
    services: S,
}

impl<S> Playground<S> {
    /// Serves the page, and forwards all other requests to these services.
    pub fn before(services: S) -> Self {
        Self { services }
    }
}

impl<S, B> Service<Request<B>> for Playground<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.services.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match page::answer(request.method(), request.uri().path(), request.headers()) {
            Some(answer) => Either::Left(ready(Ok(answer))),
            None => Either::Right(self.services.call(request)),
        }
    }
}
