//! Limits how much of a response is read.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use tokio::time::{Sleep, sleep};

use super::body::ResponseBody;

/// The maximum number of bytes that are read of an error. AWS's errors have a few hundred bytes.
pub(super) const LONGEST_ERROR: usize = 64 * 1024;
/// The time limit for reading the body of an error. Bedrock sends the body together with the
/// headers.
const ERROR_TIME: Duration = Duration::from_millis(500);
/// The time limit for reading the body if the status alone decides what the gateway does next. The
/// body then only adds a message, and the next attempt should not wait for it.
const DECIDED_TIME: Duration = Duration::from_millis(100);

/// A body of which only a limited number of bytes is read. When the limit is reached, the
/// connection is closed unless the response was complete.
pub(super) struct Capped {
    /// The remaining body. `None` after the last byte that is read.
    inner: Option<ResponseBody>,
    left: usize,
    limit: Limit,
}

enum Limit {
    /// For the body of an error: bytes beyond the limit are dropped.
    Cut(Pin<Box<Sleep>>),
    /// For a complete answer: bytes beyond the limit are an error.
    Fail,
}

/// The error for a response that exceeds its limit.
#[derive(Debug, thiserror::Error)]
#[error("the response is larger than its limit")]
struct TooLong;

impl Capped {
    /// Limits the body of an error response with this status.
    pub(super) fn error(body: ResponseBody, status: StatusCode) -> Self {
        let is_decided = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        let time = if is_decided { DECIDED_TIME } else { ERROR_TIME };
        Self {
            inner: Some(body),
            left: LONGEST_ERROR,
            limit: Limit::Cut(Box::pin(sleep(time))),
        }
    }

    /// Limits a complete answer to this number of bytes.
    pub(super) fn answer(body: ResponseBody, most: usize) -> Self {
        Self {
            inner: Some(body),
            left: most,
            limit: Limit::Fail,
        }
    }
}

impl http_body::Body for Capped {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(None);
        };
        if let Limit::Cut(time) = &mut this.limit
            && time.as_mut().poll(cx).is_ready()
        {
            this.inner = None;
            return Poll::Ready(None);
        }
        let next = ready!(http_body::Body::poll_frame(Pin::new(inner), cx));
        let mut data = match (next, &this.limit) {
            (Some(Ok(frame)), _) => frame.into_data().unwrap_or_default(),
            // If the connection breaks, the bytes that were received before are used.
            (Some(Err(_)) | None, Limit::Cut(_)) | (None, Limit::Fail) => {
                this.inner = None;
                return Poll::Ready(None);
            }
            (Some(Err(error)), Limit::Fail) => return Poll::Ready(Some(Err(error))),
        };
        if data.len() > this.left {
            this.inner = None;
            if matches!(this.limit, Limit::Fail) {
                return Poll::Ready(Some(Err(TooLong.into())));
            }
            data.truncate(this.left);
        }
        this.left -= data.len();
        if this.left == 0 && matches!(this.limit, Limit::Cut(_)) {
            this.inner = None;
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}
