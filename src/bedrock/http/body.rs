//! Unites the response bodies of HTTP/1.1 and HTTP/2.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;

use super::{http1, http2};

/// The body of an HTTP/1.1 or HTTP/2 response. Dropping it before its end immediately closes the
/// HTTP/1.1 socket or resets the HTTP/2 stream.
pub(super) enum ResponseBody {
    Http1(http1::Http1Body),
    Http2(http2::Http2Body),
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = match self.get_mut() {
            Self::Http1(body) => body.poll_data(cx),
            Self::Http2(body) => body.poll_data(cx),
        };
        next.map(|data| data.map(|data| data.map(Frame::data)))
    }
}
