//! Reads the host that a request names.

use axum::extract::Request;
use http::header::HOST;

/// Returns the host that a request names, in its URI or its header.
pub(super) fn host_of(request: &Request) -> Option<&str> {
    let of_uri = request.uri().authority();
    let of_header = || request.headers().get(HOST)?.to_str().ok();
    of_uri
        .map(|authority| authority.as_str())
        .or_else(of_header)
}
