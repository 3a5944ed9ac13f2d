//! Rejects requests that a web page can make a browser send without the gateway's permission.
//!
//! A browser sends a preflight request (CORS) before a page may send a request with gRPC's content
//! types. It sends none before a "simple" request, such as a POST of `text/plain`: the page cannot
//! read the response, but the request would be executed. So requests with any other content type
//! get 415, and requests from an origin that is not in `cors.allowed_origins` get 403, before a
//! service receives them. gRPC in a format other than protobuf gets UNIMPLEMENTED.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use tonic::body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    error::{Failure, Reason},
    grpc::{Origins, context::CallContext, status},
};

/// Marks a request from a page that the gateway itself serves. Its origin is allowed in addition to
/// the configured ones.
///
/// [`allow_own_origin`] puts this marker into the request's extensions.
#[derive(Clone, Copy, Debug)]
struct OwnOrigin;

/// Allows pages that the gateway itself serves to call it: marks a request whose `Origin` is the
/// address to which the request was sent.
pub fn allow_own_origin<B>(mut request: Request<B>) -> Request<B> {
    if is_own_origin(&request) {
        request.extensions_mut().insert(OwnOrigin);
    }
    request
}

fn is_own_origin<B>(request: &Request<B>) -> bool {
    let host = request.headers().get(header::HOST);
    let address = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => host.and_then(|host| host.to_str().ok()),
    };
    let origin = single(request.headers(), header::ORIGIN).and_then(|origin| {
        let origin = origin.to_str().ok()?;
        origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
    });
    match (origin, address) {
        (Some(origin), Some(address)) => origin.eq_ignore_ascii_case(address),
        _ => false,
    }
}

/// Returns the value of a header. `None` unless the header occurs exactly once.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct CrossSiteLayer;

#[derive(Clone, Debug)]
pub(super) struct CrossSiteService<S> {
    inner: S,
}

impl<S> Layer<S> for CrossSiteLayer {
    type Service = CrossSiteService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CrossSiteService { inner }
    }
}

impl<S, B> Service<Request<B>> for CrossSiteService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match refuse(&request) {
            Some(response) => Either::Left(ready(Ok(response))),
            None => Either::Right(self.inner.call(request)),
        }
    }
}

/// Returns the response to a request that must not reach a service. `None` if the request is
/// allowed.
fn refuse<B>(request: &Request<B>) -> Option<Response<Body>> {
    // GET and HEAD requests contain no message, and no service supports them. The services return
    // the error.
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    match format(request.headers()) {
        Format::NotGrpc => Some(unsupported_media_type()),
        _ if !is_origin_allowed(request) => Some(forbidden(request)),
        Format::Other => Some(unknown_format(request)),
        Format::Protobuf => None,
    }
}

fn is_origin_allowed<B>(request: &Request<B>) -> bool {
    let context = request.extensions().get::<CallContext>();
    let origins = context.map(|context| &context.generation.origins);
    if matches!(origins, Some(Origins::Any)) {
        return true;
    }
    let headers = request.headers();
    if request.extensions().get::<OwnOrigin>().is_some() {
        return true;
    }
    if headers.contains_key(header::ORIGIN) {
        return single(headers, header::ORIGIN)
            .is_some_and(|origin| origins.is_some_and(|origins| origins.admit(origin)));
    }
    // Browsers that do not send an origin still report whether the page belongs to another site.
    headers
        .get_all("sec-fetch-site")
        .iter()
        .all(|site| matches!(site.as_bytes(), b"same-origin" | b"none"))
}

/// The message format that a content type declares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Protobuf, in gRPC or gRPC-Web.
    Protobuf,
    /// Another format, in gRPC or gRPC-Web, such as `application/grpc+json`.
    Other,
    /// Not gRPC.
    NotGrpc,
}

/// Returns the format of the messages. There must be exactly one content type.
fn format(headers: &HeaderMap) -> Format {
    let Some(content_type) = single(headers, header::CONTENT_TYPE) else {
        return Format::NotGrpc;
    };
    let content_type = content_type.to_str().unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let Some(rest) = essence.strip_prefix("application/grpc") else {
        return Format::NotGrpc;
    };
    let rest = match rest.strip_prefix("-web") {
        Some(rest) => rest.strip_prefix("-text").unwrap_or(rest),
        None => rest,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    match rest.strip_prefix('+') {
        None if rest.is_empty() => Format::Protobuf,
        Some("proto") => Format::Protobuf,
        Some(name) if !name.is_empty() && name.chars().all(is_name) => Format::Other,
        _ => Format::NotGrpc,
    }
}

/// Returns the status for messages in a format other than protobuf. Without this check, they would
/// be decoded as protobuf.
fn unknown_format<B>(request: &Request<B>) -> Response<Body> {
    let failure = Failure::new(
        Reason::Unimplemented,
        "the messages of this service are protobuf: send content-type application/grpc or application/grpc-web+proto",
    );
    status::status(&failure, &[], request_id(request)).into_http()
}

fn request_id<B>(request: &Request<B>) -> &str {
    let context = request.extensions().get::<CallContext>();
    context.map_or("", |context| context.request_id.as_ref())
}

fn unsupported_media_type() -> Response<Body> {
    const TEXT: &str = "415: this port serves gRPC and gRPC-Web only: send content-type application/grpc or application/grpc-web+proto\n";
    let mut response = Response::new(Body::new(TEXT.to_owned()));
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// Returns HTTP 403 with a status that gRPC clients can read.
fn forbidden<B>(request: &Request<B>) -> Response<Body> {
    let failure = Failure::new(
        Reason::OriginNotAllowed,
        "pages of this origin may not call this gateway; ask the operator to add the origin to cors.allowed_origins",
    );
    let mut response = status::status(&failure, &[], request_id(request)).into_http();
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}
