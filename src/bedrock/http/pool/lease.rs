//! Unites the reservations of HTTP/1.1 and HTTP/2 connections.

use bytes::Bytes;
use http::{Request, Response};

use crate::bedrock::http::{body::ResponseBody, error::Error, http1, http2};

/// A reservation of an HTTP/1.1 or HTTP/2 connection for one request.
pub(in crate::bedrock::http) enum ConnectionLease {
    Http1(http1::Http1Lease),
    Http2(http2::Http2Lease),
}

impl ConnectionLease {
    /// Sends the request and waits for the response headers.
    pub(in crate::bedrock::http) async fn send(
        self,
        request: Request<Bytes>,
    ) -> Result<Response<ResponseBody>, Error> {
        match self {
            Self::Http1(lease) => Ok(lease.send(request).await?.map(ResponseBody::Http1)),
            Self::Http2(lease) => Ok(lease.send(request).await?.map(ResponseBody::Http2)),
        }
    }
}
