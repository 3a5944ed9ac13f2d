//! The right to send one request, over either protocol.

use bytes::Bytes;
use http::{Request, Response};

use crate::bedrock::http::{body::Body, error::Error, http1, http2};

/// The right to send one request.
pub(in crate::bedrock::http) enum Lease {
    Http1(http1::Lease),
    Http2(http2::Lease),
}

impl Lease {
    /// Sends the request and waits for the head of its response.
    pub(in crate::bedrock::http) async fn send(
        self,
        request: Request<Bytes>,
    ) -> Result<Response<Body>, Error> {
        match self {
            Self::Http1(lease) => Ok(lease.send(request).await?.map(Body::Http1)),
            Self::Http2(lease) => Ok(lease.send(request).await?.map(Body::Http2)),
        }
    }
}
