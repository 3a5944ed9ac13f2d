//! Decodes a response body into events.

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
    frame::{Frame, FrameDecoder},
};
use crate::error::Failure;

/// One event of Bedrock's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BedrockEvent {
    /// The value of `:event-type`, such as `contentBlockDelta`. Borrowed if the type is a known
    /// one.
    pub event_type: Cow<'static, str>,
    /// The event's JSON.
    pub payload: Bytes,
}

/// The events of an answer. Dropping this value closes Bedrock's stream at once. If it is read
/// until it returns `None`, the connection becomes available for the next call.
pub struct BedrockEvents {
    body: SdkBody,
    decoder: FrameDecoder,
    request_id: String,
    ended: bool,
}

impl BedrockEvents {
    pub(super) fn new(body: SdkBody, request_id: String) -> Self {
        Self {
            body,
            decoder: FrameDecoder::default(),
            request_id,
            ended: false,
        }
    }

    /// Polls for the next event. Returns `None` if the stream ended after a complete frame. The
    /// caller decides from the events whether the answer is complete. A failure is the last item.
    ///
    /// Fails if Bedrock reports an error in the stream, if the stream is malformed, or if it ends
    /// inside a frame. The caller sets the failure's phase.
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BedrockEvent, Failure>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // Consumes tokio's budget, so that events that have already arrived do not delay the
        // worker's other streams.
        let turn = ready!(poll_proceed(cx));
        let next = ready!(self.poll_open(cx)).transpose();
        turn.made_progress();
        if !matches!(next, Some(Ok(_))) {
            self.ended = true;
            // Nothing more is read, so the connection is released.
            self.body = SdkBody::empty();
        }
        Poll::Ready(next)
    }

    /// Returns the next event. See [`Self::poll_next`].
    pub async fn next(&mut self) -> Option<Result<BedrockEvent, Failure>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<BedrockEvent>, Failure>> {
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

    fn event(&self, message: Frame) -> Result<BedrockEvent, Failure> {
        if *message.message_type == *b"event" {
            return Ok(BedrockEvent {
                event_type: event_type(&message.name),
                payload: message.payload,
            });
        }
        Err(failure::of_message(&message, &self.request_id))
    }
}

/// Returns the name of an event. Known names need no allocation.
fn event_type(name: &[u8]) -> Cow<'static, str> {
    const KNOWN: [&str; 7] = [
        "contentBlockDelta",
        "chunk",
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

impl fmt::Debug for BedrockEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BedrockEvents")
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}
