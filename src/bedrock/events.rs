//! Decodes a response body into events.

use std::{
    borrow::Cow,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body as _;
use tokio::task::coop::poll_proceed;

use super::{
    failure,
    frame::{Frame, FrameDecoder},
    frame_memory::{COPIES, FrameMemory, FrameRoom, LARGE_FRAME, Reservation},
    http::ResponseBody,
};
use crate::error::Failure;

/// How many bytes of an incomplete frame are read in one poll. A frame of many MiB that arrives
/// faster than this would delay the worker's other streams.
const TURN: usize = 512 << 10;

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
    /// The body. `None` when nothing more is read.
    body: Option<ResponseBody>,
    decoder: FrameDecoder,
    request_id: String,
    /// The memory budget of large frames. `None`: there is no limit.
    memory: Option<Arc<dyn FrameMemory>>,
    room: Room,
    /// Whether bytes have arrived since [`Self::take_received`] was last called.
    received: bool,
}

/// The memory of a large frame.
enum Room {
    /// The next frame needs no memory from the budget.
    Unneeded,
    /// The next frame waits for it. No more bytes are read meanwhile.
    Awaited(Reservation),
    /// The next frame has it.
    Next(FrameRoom),
    /// The last event has it. It is held until the next event is requested: the last one was
    /// encoded for the client then.
    Last(FrameRoom),
}

impl BedrockEvents {
    pub(super) fn new(
        body: ResponseBody,
        request_id: String,
        memory: Option<Arc<dyn FrameMemory>>,
    ) -> Self {
        Self {
            body: Some(body),
            decoder: FrameDecoder::default(),
            request_id,
            memory,
            room: Room::Unneeded,
            received: false,
        }
    }

    /// Returns whether any bytes have arrived since the last call of this function. They may be a
    /// part of an event.
    pub fn take_received(&mut self) -> bool {
        std::mem::take(&mut self.received)
    }

    /// Returns whether the next event waits for memory of the gateway, and not for Bedrock.
    pub fn waits_for_memory(&self) -> bool {
        matches!(self.room, Room::Awaited(_))
    }

    /// Returns the memory of the last event, if it is a large one. Work on the event that may last
    /// longer than this value must hold the memory.
    pub fn room(&self) -> Option<FrameRoom> {
        match &self.room {
            Room::Last(room) => Some(Arc::clone(room)),
            Room::Unneeded | Room::Awaited(_) | Room::Next(_) => None,
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
        if matches!(self.room, Room::Last(_)) {
            self.room = Room::Unneeded;
        }
        if self.body.is_none() {
            return Poll::Ready(None);
        }
        // Consumes tokio's budget, so that events that have already arrived do not delay the
        // worker's other streams.
        let turn = ready!(poll_proceed(cx));
        let next = ready!(self.poll_open(cx)).transpose();
        turn.made_progress();
        if !matches!(next, Some(Ok(_))) {
            // Nothing more is read, so the connection is released.
            self.body = None;
        }
        Poll::Ready(next)
    }

    /// Returns the next event. See [`Self::poll_next`].
    pub async fn next(&mut self) -> Option<Result<BedrockEvent, Failure>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<BedrockEvent>, Failure>> {
        let mut read = 0;
        loop {
            let corrupt = |corrupt| failure::of_corruption(&corrupt, &self.request_id);
            // Until the size of the next frame has arrived, there is nothing to decode.
            if let Some(size) = self.decoder.declared().map_err(corrupt)? {
                if size > LARGE_FRAME {
                    ready!(self.poll_room(size, cx))?;
                }
                let corrupt = |corrupt| failure::of_corruption(&corrupt, &self.request_id);
                if let Some(message) = self.decoder.decode().map_err(corrupt)? {
                    if let Room::Next(room) = std::mem::replace(&mut self.room, Room::Unneeded) {
                        self.room = Room::Last(room);
                    }
                    return Poll::Ready(self.event(message).map(Some));
                }
            }
            if read > TURN {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(Ok(None));
            };
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        read += chunk.len();
                        self.received |= !chunk.is_empty();
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

    /// Reserves memory for a frame of this size, before its bytes are read.
    fn poll_room(&mut self, size: usize, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let Some(memory) = &self.memory else {
            return Poll::Ready(Ok(()));
        };
        if matches!(self.room, Room::Unneeded) {
            self.room = Room::Awaited(memory.reserve(COPIES * size));
        }
        if let Room::Awaited(reservation) = &mut self.room {
            self.room = Room::Next(ready!(reservation.as_mut().poll(cx))?);
        }
        Poll::Ready(Ok(()))
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
