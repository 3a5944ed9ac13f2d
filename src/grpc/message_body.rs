//! The body of a response: messages with gRPC's prefix, and then the status.
//!
//! tonic has such a body, too, but it keeps the buffer of the largest message until the stream
//! ends. This one gives the buffer of a large message away with the message. It encodes large
//! messages on other threads, and sends them in parts, so that no poll takes long.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{BufMut, Bytes, BytesMut};
use futures_core::Stream;
use http::HeaderMap;
use http_body::Frame;
use pin_project_lite::pin_project;
use prost::Message;
use tonic::Status;

use super::{answer_memory::LatestRoom, status};
use crate::{
    bedrock::FrameRoom,
    bounds::Share,
    error::Failure,
    stream::{AnswerThreads, is_large},
};

/// The bytes that an open stream reserves for its next message.
const BUFFER: usize = 512;
/// The size up to which messages that are ready at the same time share a write, in bytes. Buffers
/// of larger messages are not kept.
const SHARED_WRITE: usize = 32 << 10;
/// The maximum size of a part of a large message, in bytes, and the number of parts that are sent
/// in one poll of the connection. The layer for gRPC-Web encodes the parts.
const PART: usize = 256 << 10;
const PARTS_AT_ONCE: u32 = 4;
/// A flag, which says that the message is not compressed, and the length of the message.
const PREFIX: usize = 5;

pin_project! {
    /// The body of a response with these messages.
    pub(super) struct MessageBody<S> {
        #[pin]
        messages: S,
        buffer: BytesMut,
        end: End,
        // The large message that is being encoded.
        encoding: Option<Encoding>,
        // The rest of a large message, and the number of its parts that were sent without a pause.
        parts: Bytes,
        at_once: u32,
        threads: AnswerThreads,
        // The memory of large events, and that of the message in the buffer.
        rooms: LatestRoom,
        room: Option<Arc<Share>>,
    }
}

type Encoding = Pin<Box<dyn Future<Output = Result<Bytes, Failure>> + Send>>;

/// Whether the messages have ended.
enum End {
    NotYet,
    /// The status was not sent yet.
    With(Status),
    Sent,
}

impl<S> MessageBody<S> {
    /// Large messages hold the memory of their events until they are sent. They are encoded on
    /// `threads`.
    pub(super) fn new(messages: S, rooms: LatestRoom, threads: AnswerThreads) -> Self {
        Self {
            messages,
            buffer: BytesMut::with_capacity(BUFFER),
            end: End::NotYet,
            encoding: None,
            parts: Bytes::new(),
            at_once: 0,
            threads,
            rooms,
            room: None,
        }
    }
}

impl<T, S> http_body::Body for MessageBody<S>
where
    T: Message + 'static,
    S: Stream<Item = Result<T, Status>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.as_mut().project();
        if let Some(encoding) = this.encoding {
            match ready!(encoding.as_mut().poll(cx)) {
                Ok(message) => *this.parts = message,
                Err(failure) => *this.end = End::With(status::status(&failure, &[], "")),
            }
            *this.encoding = None;
        }
        if !this.parts.is_empty() {
            if *this.at_once == PARTS_AT_ONCE {
                *this.at_once = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            *this.at_once += 1;
            let part = this.parts.split_to(PART.min(this.parts.len()));
            return Poll::Ready(Some(Ok(Frame::data(part))));
        }
        while matches!(this.end, End::NotYet)
            && this.encoding.is_none()
            && this.buffer.len() < SHARED_WRITE
        {
            match this.messages.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    let length = message.encoded_len();
                    if !is_large(length) {
                        encode(&message, length, this.buffer);
                        if this.buffer.len() > SHARED_WRITE {
                            *this.room = this.rooms.get();
                        }
                        continue;
                    }
                    let room = this.rooms.get();
                    let held = room.clone().map(|room| room as FrameRoom);
                    let encoded = this.threads.run(held, move || {
                        let mut buffer = BytesMut::new();
                        encode(&message, length, &mut buffer);
                        drop(message);
                        take(&mut buffer, room)
                    });
                    *this.encoding = Some(Box::pin(encoded));
                }
                Poll::Ready(Some(Err(status))) => *this.end = End::With(status),
                Poll::Ready(None) => *this.end = End::With(Status::ok("")),
                Poll::Pending if this.buffer.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        if !this.buffer.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(take(this.buffer, this.room.take())))));
        }
        if this.encoding.is_some() {
            // The encoding has not been polled yet, so it must be polled to wake this task.
            return self.poll_frame(cx);
        }
        Poll::Ready(match std::mem::replace(this.end, End::Sent) {
            End::With(status) => {
                let mut trailers = HeaderMap::new();
                Some(
                    status
                        .add_header(&mut trailers)
                        .map(|()| Frame::trailers(trailers)),
                )
            }
            End::NotYet | End::Sent => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.end, End::Sent)
    }
}

/// Appends a message whose encoded form has this length.
fn encode(message: &impl Message, length: usize, buffer: &mut BytesMut) {
    buffer.reserve(PREFIX + length);
    buffer.put_u8(0);
    // Bedrock's events and the answers of unary methods have limits far below 4 GiB.
    buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // The buffer grows as needed, so this cannot fail.
    let _infallible = message.encode(buffer);
}

fn take(buffer: &mut BytesMut, room: Option<Arc<Share>>) -> Bytes {
    if buffer.len() <= SHARED_WRITE {
        return buffer.split().freeze();
    }
    let bytes = std::mem::take(buffer).freeze();
    match room {
        Some(room) => {
            // The event and its message do not exist any more.
            room.shrink_to(bytes.len());
            Bytes::from_owner(Held { bytes, _room: room })
        }
        None => bytes,
    }
}

/// Bytes that hold their memory of the budget until they are sent.
struct Held {
    bytes: Bytes,
    _room: Arc<Share>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::VecDeque};

    use futures_util::stream;
    use http_body_util::BodyExt;
    use tonic::Code;

    use super::*;
    use crate::bounds::{ShareOwner, WorkQueue};

    /// The frames of a body whose messages are ready, or not yet (`None`).
    async fn frames(
        messages: Vec<Option<Result<String, Status>>>,
    ) -> (Vec<usize>, Option<HeaderMap>, usize) {
        let messages = RefCell::new(VecDeque::from(messages));
        let messages = stream::poll_fn(|cx| match messages.borrow_mut().pop_front() {
            Some(Some(message)) => Poll::Ready(Some(message)),
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        });
        let threads = AnswerThreads {
            queue: WorkQueue::start("test", 1, 1).unwrap(),
            peer: ShareOwner::default(),
        };
        let body = MessageBody::new(messages, LatestRoom::default(), threads);
        let mut body = std::pin::pin!(body);
        let (mut sizes, mut trailers) = (Vec::new(), None);
        let mut kept = 0;
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(data) => {
                    sizes.push(data.len());
                    drop(data);
                    kept = kept.max(body.as_mut().project().buffer.capacity());
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        (sizes, trailers, kept)
    }

    /// A message whose encoded form has this many bytes, prefix included.
    fn message(size: usize) -> Option<Result<String, Status>> {
        let mut text = "x".repeat(size);
        while PREFIX + text.encoded_len() > size {
            text.pop();
        }
        Some(Ok(text))
    }

    #[tokio::test]
    async fn messages_that_are_ready_share_a_write() {
        let (sizes, trailers, _) =
            frames(vec![message(10), message(20), None, message(30), None]).await;
        assert_eq!(sizes, [30, 30]);
        assert_eq!(trailers.unwrap()["grpc-status"], "0");
        let (sizes, ..) = frames(vec![message(SHARED_WRITE), message(10)]).await;
        assert_eq!(sizes, [SHARED_WRITE, 10]);
    }

    #[tokio::test]
    async fn a_status_follows_the_messages_before_it() {
        let status = Status::new(Code::Unavailable, "gone");
        let (sizes, trailers, _) = frames(vec![message(10), Some(Err(status))]).await;
        assert_eq!(sizes, [10]);
        let status = Status::from_header_map(&trailers.unwrap()).unwrap();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unavailable, "gone")
        );
    }

    #[tokio::test]
    async fn the_buffer_of_a_large_message_is_not_kept() {
        let large = 2 * SHARED_WRITE;
        let (sizes, _, kept) =
            frames(vec![message(10), message(large), None, message(10), None]).await;
        assert_eq!(sizes, [large + 10, 10]);
        assert!(kept <= 2 * SHARED_WRITE, "{kept} bytes");
    }

    #[tokio::test]
    async fn a_large_message_is_sent_in_parts_and_in_order() {
        let large = (8 << 20) + 1;
        let status = Status::new(Code::Unavailable, "gone");
        let (sizes, trailers, kept) = frames(vec![
            message(10),
            message(large),
            message(20),
            Some(Err(status)),
        ])
        .await;
        let mut expected = vec![10];
        expected.extend([PART; 32]);
        expected.extend([1, 20]);
        assert_eq!(sizes, expected);
        assert_eq!(trailers.unwrap()["grpc-status"], "14");
        assert!(kept <= 2 * SHARED_WRITE, "{kept} bytes");
    }
}
