//! Reports the limits of a caller in `x-ratelimit-*` metadata. The headers contain the state after
//! the reservation, the trailers the state after the settlement.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};

use crate::{
    access::limits::{Standing, Standings},
    stream::RateLimits,
};

/// The names of three headers: the limit, the remaining amount, and the seconds until the limit is
/// fully available again.
type Names = [HeaderName; 3];

pub(super) const REQUESTS: Names = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
pub(super) const TOKENS: Names = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
/// The headers for cost limits, in 1e-9 US dollars.
pub(super) const MONEY: Names = [
    HeaderName::from_static("x-ratelimit-limit-nano-usd"),
    HeaderName::from_static("x-ratelimit-remaining-nano-usd"),
    HeaderName::from_static("x-ratelimit-reset-nano-usd"),
];

/// Adds the headers to a response, if its call has limits.
pub(super) fn told(mut response: Response<Body>) -> Response<Body> {
    let Some(limits) = response.extensions_mut().remove::<RateLimits>() else {
        return response;
    };
    write(&limits.now(), response.headers_mut());
    response.map(|inner| Body::new(LimitedBody { inner, limits }))
}

fn write(standings: &Standings, headers: &mut HeaderMap) {
    for (names, standing) in [
        (REQUESTS, standings.requests),
        (TOKENS, standings.tokens),
        (MONEY, standings.money),
    ] {
        let Some(Standing {
            limit,
            left,
            whole_in,
        }) = standing
        else {
            continue;
        };
        let values = [limit, left, whole_in.div_ceil(1_000)];
        for (name, value) in names.into_iter().zip(values) {
            headers.insert(name, HeaderValue::from(value));
        }
    }
}

/// A response body whose trailers contain the limits after the settlement.
struct LimitedBody {
    inner: Body,
    limits: RateLimits,
}

impl HttpBody for LimitedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let mut frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            write(&this.limits.now(), trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
