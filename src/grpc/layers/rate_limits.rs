//! Reports the limits of a caller in `x-ratelimit-*` metadata. The headers contain the state after
//! the reservation, the trailers the state after the settlement.

use std::{
    pin::Pin,
    sync::LazyLock,
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

/// Header maps with the names for each combination of limits. Copying one is faster than inserting
/// its names, because their hashes are known.
static PREPARED: LazyLock<[HeaderMap; 8]> = LazyLock::new(|| {
    std::array::from_fn(|combination| {
        let mut headers = HeaderMap::new();
        for (index, names) in [REQUESTS, TOKENS, MONEY].into_iter().enumerate() {
            if combination & (1 << index) != 0 {
                for name in names {
                    headers.insert(name, HeaderValue::from_static(""));
                }
            }
        }
        headers
    })
});

fn write(standings: &Standings, headers: &mut HeaderMap) {
    let all = [standings.requests, standings.tokens, standings.money];
    let combination = all
        .iter()
        .enumerate()
        .filter(|(_, standing)| standing.is_some())
        .fold(0, |combination, (index, _)| combination | (1 << index));
    let Some(prepared) = PREPARED.get(combination) else {
        return;
    };
    let values = all.into_iter().flatten().flat_map(
        |Standing {
             limit,
             left,
             whole_in,
         }| [limit, left, whole_in.div_ceil(1_000)],
    );
    let mut written = prepared.clone();
    // A map without removals keeps the order of its insertions.
    for (value, number) in written.values_mut().zip(values) {
        *value = HeaderValue::from(number);
    }
    written.extend(std::mem::take(headers));
    *headers = written;
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
