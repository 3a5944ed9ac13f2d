//! Discards the remaining bytes of a request that was answered before it was complete, for example
//! refused.
//!
//! If such a request were dropped, HTTP/2 would reset its stream. h2 tracks at most 50 reset
//! streams, for one second. Each frame that arrives for any other reset stream counts as an error
//! of the connection. Too many errors end the connection, including the calls of other clients
//! behind the same proxy.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

// Sources: docs/limits.md.
/// The number of bytes that a client may have sent before it learns that its call has ended. Also
/// the maximum time for which a request is discarded.
const MAX_DISCARDED: usize = 512 << 10;
const MAX_TIME: Duration = Duration::from_secs(5);
/// The maximum number of requests that are reset because they cannot be discarded completely.
/// Beyond it, the connection accepts no new calls. This happens long before h2 would end the open
/// calls.
const MAX_RESETS: usize = 256;

/// Handles the requests of one connection that are answered before they are complete.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    /// The slots for requests that are being discarded. Such a request keeps its stream, so the
    /// number is limited to leave most streams to other calls.
    places: Arc<Semaphore>,
    resets: Arc<AtomicUsize>,
    has_too_many_resets: CancellationToken,
    leaving: CancellationToken,
}

impl Unread {
    /// Creates the state of a connection with this maximum number of streams. After `leaving` is
    /// cancelled, nothing is discarded any more.
    pub(super) fn new(streams: u32, leaving: CancellationToken) -> Self {
        Self {
            places: Arc::new(Semaphore::new((streams / 4) as usize)),
            resets: Arc::default(),
            has_too_many_resets: CancellationToken::new(),
            leaving,
        }
    }

    /// Waits until so many streams were reset that the connection should be replaced.
    pub(super) async fn too_many_resets(&self) {
        self.has_too_many_resets.cancelled().await;
    }

    /// Returns the request, and the [`Rest`] that discards its remaining bytes after it was
    /// answered.
    pub(super) fn watch(&self, request: Request<Incoming>) -> (Request<Body>, Rest) {
        let rest = Rest {
            body: Arc::default(),
            unread: self.clone(),
        };
        // An HTTP/1.1 connection has no other calls, and a complete request has no remaining bytes.
        if request.version() != Version::HTTP_2 || request.body().is_end_stream() {
            return (request.map(Body::new), rest);
        }
        let request = request.map(|body| {
            Body::new(Watched {
                body: Some(body),
                rest: Arc::clone(&rest.body),
            })
        });
        (request, rest)
    }

    fn count_reset(&self) {
        if self.resets.fetch_add(1, Ordering::Relaxed) + 1 == MAX_RESETS {
            self.has_too_many_resets.cancel();
        }
    }
}

/// The remaining bytes of a request, if the service drops the body early. Dropping this value
/// resets the stream.
pub(super) struct Rest {
    body: Arc<Mutex<Option<Incoming>>>,
    unread: Unread,
}

impl Rest {
    /// Discards the remaining bytes, if the service has dropped the body before its end.
    pub(super) fn discard(self) {
        let Self { body, unread } = self;
        let Some(body) = body.lock().ok().and_then(|mut body| body.take()) else {
            return;
        };
        let Ok(place) = Arc::clone(&unread.places).try_acquire_owned() else {
            unread.count_reset();
            return;
        };
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                ended = timeout(MAX_TIME, ends(body)) => {
                    if ended != Ok(true) {
                        unread.count_reset();
                    }
                }
                () = unread.leaving.cancelled() => {}
            }
        });
    }
}

/// Reads a body. Returns true if the body ended or the client reset its stream.
async fn ends(mut body: Incoming) -> bool {
    let mut left = MAX_DISCARDED;
    while let Some(Ok(frame)) = body.frame().await {
        let read = frame.data_ref().map_or(0, Bytes::len);
        let Some(less) = left.checked_sub(read) else {
            return false;
        };
        left = less;
    }
    true
}

/// The body of a request. If it is dropped before its end, the remaining bytes are passed to
/// [`Rest`].
struct Watched {
    body: Option<Incoming>,
    rest: Arc<Mutex<Option<Incoming>>>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        if let Ok(mut kept) = self.rest.lock() {
            *kept = rest;
        }
    }
}
