//! Turns a response body into events.

use std::{
    borrow::Cow,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::Body as _;
use tokio::task::coop::poll_proceed;

use super::{
    failure,
    frame::{Decoder, Message},
};
use crate::error::Failure;

/// One event from Bedrock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// `:event-type`, such as `contentBlockDelta`. Borrowed if this version knows it.
    pub event_type: Cow<'static, str>,
    /// The event's JSON.
    pub payload: Bytes,
}

/// The events of a response. Dropping them closes Bedrock's stream immediately; reading them to
/// `None` leaves the connection for the next call.
pub struct Frames {
    body: SdkBody,
    decoder: Decoder,
    request_id: String,
    ended: bool,
}

impl Frames {
    pub(super) fn new(body: SdkBody, request_id: String) -> Self {
        Self {
            body,
            decoder: Decoder::default(),
            request_id,
            ended: false,
        }
    }

    /// Returns the next event. `None` when the stream ended on a frame boundary; the events show
    /// whether the answer was complete. Nothing follows a failure.
    ///
    /// A failure is an error from Bedrock in the stream, malformed bytes, or an end inside a frame.
    /// The caller sets its phase, because it knows what was forwarded.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Failure>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // Frames that have already arrived must not delay the worker's other streams, or this
        // stream's client.
        let turn = ready!(poll_proceed(cx));
        let next = ready!(self.poll_open(cx)).transpose();
        turn.made_progress();
        if !matches!(next, Some(Ok(_))) {
            self.ended = true;
            // The remaining bytes are of no use: the connection need not wait for them.
            self.body = SdkBody::empty();
        }
        Poll::Ready(next)
    }

    /// Returns the next event: an async version of [`Self::poll_next`].
    pub async fn next(&mut self) -> Option<Result<Frame, Failure>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Frame>, Failure>> {
        loop {
            match self.decoder.decode() {
                Ok(Some(message)) => return Poll::Ready(self.event(message).map(Some)),
                Ok(None) => {}
                Err(corrupt) => {
                    return Poll::Ready(Err(failure::of_corruption(&corrupt, &self.request_id)));
                }
            }
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        self.decoder.push(chunk);
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Err(failure::of_cut(&*error, &self.request_id)));
                }
                None if self.decoder.is_at_boundary() => return Poll::Ready(Ok(None)),
                None => {
                    return Poll::Ready(Err(failure::of_cut(
                        &"it ended inside a frame",
                        &self.request_id,
                    )));
                }
            }
        }
    }

    fn event(&self, message: Message) -> Result<Frame, Failure> {
        if *message.message_type == *b"event" {
            return Ok(Frame {
                event_type: event_type(&message.name),
                payload: message.payload,
            });
        }
        Err(failure::of_message(&message, &self.request_id))
    }
}

/// Known names need no allocation.
fn event_type(name: &[u8]) -> Cow<'static, str> {
    const KNOWN: [&str; 6] = [
        "contentBlockDelta",
        "contentBlockStart",
        "contentBlockStop",
        "messageStart",
        "messageStop",
        "metadata",
    ];
    match KNOWN.into_iter().find(|known| known.as_bytes() == name) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(String::from_utf8_lossy(name).into_owned()),
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames")
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}
