//! Rejects requests that name another host than those of the listener.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{Request, Response, StatusCode, header};
use tonic::body::Body;
use tower_service::Service;

use crate::config::Hosts;

/// Checks the host of every request before the services receive it.
#[derive(Clone, Debug)]
pub(super) struct HostCheck<S> {
    hosts: Hosts,
    services: S,
}

impl<S> HostCheck<S> {
    pub(super) const fn before(services: S, hosts: Hosts) -> Self {
        Self { hosts, services }
    }
}

impl<S, B> Service<Request<B>> for HostCheck<S>
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
        if self.hosts.allow(host(&request)) {
            return Either::Right(self.services.call(request));
        }
        let text = "this gateway answers requests to localhost only\n";
        let mut refusal = Response::new(Body::new(http_body_util::Full::from(text)));
        *refusal.status_mut() = StatusCode::MISDIRECTED_REQUEST;
        let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
        refusal.headers_mut().insert(header::CONTENT_TYPE, plain);
        Either::Left(ready(Ok(refusal)))
    }
}

/// Returns the host that a request names.
fn host<B>(request: &Request<B>) -> Option<&str> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request.headers().get(header::HOST)?.to_str().ok(),
    }
}
