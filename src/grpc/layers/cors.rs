//! Implements CORS: allows web pages of the configured origins to make calls.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::Either;
use http::{HeaderName, Method, Request, Response, header::ORIGIN};
use tower_http::cors::{AllowHeaders, AllowOrigin, Cors, CorsLayer};
use tower_layer::Layer;
use tower_service::Service;

use super::rate_limits;
use crate::grpc::context::{CallContext, REQUEST_ID};

/// How long a browser may cache the response to a preflight request.
const MAX_AGE: Duration = Duration::from_secs(3_600);

/// Adds CORS to the requests of web pages. Other requests, which have no `origin`, skip it: clients
/// other than browsers ignore the headers that it adds to each response.
#[derive(Clone, Debug)]
pub(super) struct CorsOfPages(CorsLayer);

#[derive(Clone, Debug)]
pub(super) struct CorsOfPagesService<S> {
    inner: S,
    cors: CorsLayer,
}

/// Creates the layer. It allows the origins that are configured for the call's generation. If none
/// is configured, pages of other origins cannot make calls.
pub(super) fn layer() -> CorsOfPages {
    let allowed = AllowOrigin::predicate(|origin, request| {
        let context = request.extensions.get::<CallContext>();
        context.is_some_and(|context| context.generation.origins.admit(origin))
    });
    CorsOfPages(
        CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            // A client needs these headers to read an error or a trailers-only response.
            .expose_headers(exposed())
            .max_age(MAX_AGE),
    )
}

impl<S> Layer<S> for CorsOfPages {
    type Service = CorsOfPagesService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CorsOfPagesService {
            inner,
            cors: self.0.clone(),
        }
    }
}

impl<S, B, R> Service<Request<B>> for CorsOfPagesService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<S::Future, <Cors<S> as Service<Request<B>>>::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if *request.method() != Method::OPTIONS && !request.headers().contains_key(ORIGIN) {
            return Either::Left(self.inner.call(request));
        }
        // Only the original service has been polled until it was ready. So it makes the call, and a
        // clone takes its place for later calls.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        Either::Right(self.cors.layer(ready).call(request))
    }
}

/// Returns the headers that pages may read: those of an error or a trailers-only response, and
/// those of the caller's limits.
fn exposed() -> Vec<HeaderName> {
    let of_grpc = [
        HeaderName::from_static("grpc-status"),
        HeaderName::from_static("grpc-message"),
        HeaderName::from_static("grpc-status-details-bin"),
        HeaderName::from_static("grpc-retry-pushback-ms"),
        HeaderName::from_static(REQUEST_ID),
    ];
    let of_limits = [
        rate_limits::REQUESTS,
        rate_limits::TOKENS,
        rate_limits::MONEY,
    ];
    of_grpc
        .into_iter()
        .chain(of_limits.into_iter().flatten())
        .collect()
}
