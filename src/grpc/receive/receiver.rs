//! Receives a message while its bytes arrive.

use std::{future::poll_fn, sync::Arc};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::Body as _;
use tonic::body::Body;

use super::{
    failures::{saturated, slot_taken, too_large, unreadable},
    pace::Pace,
    pieces::Pieces,
    received::Received,
    unpack::Encoding,
};
use crate::{
    bounds::{Share, ShareOwner, Shares},
    config::Limits,
    error::{Failure, Reason},
};

/// The length of the header of a message, in bytes: a flag and the message's length.
const HEAD: usize = 5;

/// The inputs for receiving a message.
pub(crate) struct Receiver<'a> {
    pub(crate) limits: &'a Limits,
    /// The memory budget of all requests that are being received and decoded.
    pub(crate) memory: &'a Shares,
    /// The slot of the call. Until the message is complete, the slot can be given to another
    /// client.
    pub(crate) place: Option<&'a Share>,
    pub(crate) peer: ShareOwner,
}

impl Receiver<'_> {
    /// Waits for the message and for the end of the request.
    ///
    /// # Errors
    /// Fails if the client is too slow or violates the protocol, or if the message is too large.
    /// Also fails if there is not enough memory, or if the slot was given to another client.
    pub(crate) async fn receive(
        &self,
        headers: &HeaderMap,
        mut body: Body,
    ) -> Result<Received, Failure> {
        let accepts = self.limits.max_compression_ratio > 0;
        let encoding = Encoding::of(headers, accepts)?;
        // The headers count, too: they are kept until the message is complete, and can be large.
        let memory = self
            .memory
            .take(self.peer, size(headers))
            .map_err(saturated)?;
        let mut pace = Pace::new(self.limits);
        let mut message = Incoming::default();
        // `is_end_stream` is not used, because the body of gRPC-Web reports an invalid end only
        // after the last byte.
        loop {
            let frame = tokio::select! {
                biased;
                frame = pace.next(poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx))) => frame?,
                () = taken_back(self.place) => return Err(slot_taken()),
                () = memory.taken_back() => return Err(slot_taken()),
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|status| {
                Failure::new(Reason::MessageUnreadable, status.message().to_owned())
            })?;
            // The trailers of a request have no meaning.
            if let Ok(data) = frame.into_data() {
                pace.received(data.len());
                message.push(data, self.limits.max_request_size, &memory)?;
            }
        }
        let (pieces, compressed) = message.finish()?;
        if let Some(place) = self.place {
            place.keep().map_err(|_| slot_taken())?;
        }
        memory.keep().map_err(|_| slot_taken())?;
        let encoding = match (compressed, encoding) {
            (false, _) => None,
            (true, Some(encoding)) => Some(encoding),
            (true, None) => {
                return Err(unreadable(
                    "it is flagged as compressed, but the request has no grpc-encoding",
                ));
            }
        };
        Ok(Received {
            pieces,
            encoding,
            memory: Arc::new(memory),
        })
    }
}

/// A message whose bytes are arriving.
#[derive(Default)]
struct Incoming {
    head: [u8; HEAD],
    head_len: usize,
    pieces: Option<Pieces>,
}

impl Incoming {
    fn push(&mut self, mut data: Bytes, max: usize, memory: &Share) -> Result<(), Failure> {
        while self.head_len < HEAD && data.has_remaining() {
            self.head[self.head_len] = data.get_u8();
            self.head_len += 1;
            if self.head_len == HEAD {
                let [flag, length @ ..] = self.head;
                let length = u32::from_be_bytes(length) as usize;
                if flag > 1 {
                    return Err(unreadable("its first byte is not a valid gRPC flag"));
                }
                if length > max {
                    return Err(too_large(format_args!(
                        "{length} bytes, the limit is {max} bytes"
                    )));
                }
                self.pieces = Some(Pieces::of(length));
            }
        }
        match &mut self.pieces {
            _ if data.is_empty() => Ok(()),
            Some(pieces) if pieces.missing() >= data.len() => {
                pieces.push(&data, memory).map_err(saturated)
            }
            _ => Err(unreadable(
                "more data follows the message: send exactly one message",
            )),
        }
    }

    /// Returns the message, and whether it is compressed.
    fn finish(self) -> Result<(Pieces, bool), Failure> {
        match self.pieces {
            Some(pieces) if pieces.missing() == 0 => Ok((pieces, self.head[0] == 1)),
            None if self.head_len == 0 => Err(unreadable("the request contains no message")),
            _ => Err(unreadable("the request ended in the middle of the message")),
        }
    }
}

/// Returns approximately how much memory headers take.
fn size(headers: &HeaderMap) -> usize {
    const EACH: usize = 64;
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + EACH)
        .sum()
}

async fn taken_back(place: Option<&Share>) {
    match place {
        Some(place) => place.taken_back().await,
        None => std::future::pending().await,
    }
}
