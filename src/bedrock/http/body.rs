//! Unites the response bodies of HTTP/1.1, of HTTP/2 and of the SDK.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::Frame;

use super::{http1::Http1Body, http2::Http2Body};

/// The body of a response. Dropping it before its end immediately closes the HTTP/1.1 socket or
/// resets the HTTP/2 stream.
pub(in crate::bedrock) enum ResponseBody {
    Http1(Http1Body),
    Http2(Http2Body),
    /// An `Http1` or `Http2` body that the SDK has wrapped in its own type.
    OfSdk(SdkBody),
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
            Self::OfSdk(body) => return http_body::Body::poll_frame(Pin::new(body), cx),
        };
        next.map(|data| data.map(|data| data.map(Frame::data)))
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}
