//! Implements CORS: allows web pages of the configured origins to make calls.

use std::time::Duration;

use http::{HeaderName, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::rate_limits;
use crate::grpc::context::{CallContext, REQUEST_ID};

/// How long a browser may cache the response to a preflight request.
const MAX_AGE: Duration = Duration::from_secs(3_600);

/// Allows the origins that are configured for the call's generation. If none is configured, pages
/// of other origins cannot make calls.
pub(super) fn layer() -> CorsLayer {
    let allowed = AllowOrigin::predicate(|origin, request| {
        let context = request.extensions.get::<CallContext>();
        context.is_some_and(|context| context.generation.origins.admit(origin))
    });
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        // A client needs these headers to read an error or a trailers-only response.
        .expose_headers(exposed())
        .max_age(MAX_AGE)
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
