//! The event-stream framing of AWS, decoded bit by bit as bytes come in. Pure: no I/O, no Bedrock.
//!
//! A frame is: total length (u32), length of the headers (u32), CRC-32 of these eight bytes, headers, payload, CRC-32 of
//! everything before. All numbers are big-endian.

mod header;

use bytes::{Buf, Bytes, BytesMut};

/// The lengths and their checksum.
const PRELUDE: usize = 12;
/// The prelude and the checksum at the end: the smallest frame.
const OVERHEAD: usize = PRELUDE + 4;
/// AWS allows 16 MiB of payload and 128 KiB of headers; beyond this the length itself must be corrupt.
const MAX_FRAME: usize = 24 * 1024 * 1024;
/// AWS's own limit.
const MAX_HEADERS: usize = 128 * 1024;
/// How much is reserved on the word of a prelude. More follows as bytes really come.
const RESERVE: usize = 64 * 1024;

/// What a whole frame holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// `:message-type`: event, exception or error.
    pub(crate) message_type: Bytes,
    /// `:event-type`, `:exception-type` or `:error-code`, whichever the message type calls for.
    pub(crate) name: Bytes,
    /// `:error-message`, empty unless the message is an error.
    pub(crate) error_message: Bytes,
    /// The JSON.
    pub(crate) payload: Bytes,
}

/// Why bytes cannot be a frame. The stream is of no use from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Corrupt {
    #[error("a frame's lengths do not match their checksum")]
    PreludeChecksum,
    #[error("a frame does not match its checksum")]
    MessageChecksum,
    #[error("a frame claims {0} bytes")]
    Length(u32),
    #[error("a frame claims {0} bytes of headers")]
    HeadersLength(u32),
    #[error("a frame's headers cannot be read")]
    Header,
    #[error("a frame does not say what kind of message it is")]
    MessageType,
}

/// Turns chunks of bytes, however they are cut, into [`Message`]s.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The start of a frame that did not end with its chunk.
    partial: BytesMut,
    /// What is left of the newest chunk.
    chunk: Bytes,
    /// The length of the frame at the front, once its prelude was checked.
    frame: Option<Prelude>,
}

#[derive(Clone, Copy, Debug)]
struct Prelude {
    total: usize,
    headers: usize,
}

impl Decoder {
    /// Takes the next bytes. To be called only after [`Self::decode`] said that there is no more.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            // Not the way it is used, but nothing may get lost.
            let mut joined = BytesMut::with_capacity(self.chunk.len() + chunk.len());
            joined.extend_from_slice(&self.chunk);
            joined.extend_from_slice(&chunk);
            self.chunk = joined.freeze();
        }
    }

    /// Whether the bytes so far end with a frame's end.
    pub(crate) fn is_at_boundary(&self) -> bool {
        self.partial.is_empty() && self.chunk.is_empty()
    }

    /// The next message, or `None` if more bytes are needed.
    pub(crate) fn decode(&mut self) -> Result<Option<Message>, Corrupt> {
        let prelude = match self.frame {
            Some(prelude) => prelude,
            None => match self.prelude()? {
                Some(prelude) => prelude,
                None => return Ok(None),
            },
        };
        let Some(frame) = self.take(prelude.total) else {
            self.frame = Some(prelude);
            return Ok(None);
        };
        self.frame = None;
        whole(&frame, prelude).map(Some)
    }

    fn prelude(&mut self) -> Result<Option<Prelude>, Corrupt> {
        if !self.partial.is_empty() {
            self.gather(PRELUDE);
        }
        let front: &[u8] = if self.partial.is_empty() {
            &self.chunk
        } else {
            &self.partial
        };
        let Some(mut bytes) = front.get(..PRELUDE) else {
            self.gather(PRELUDE);
            return Ok(None);
        };
        let checksum = crc32fast::hash(&bytes[..8]);
        let (total, headers) = (bytes.get_u32(), bytes.get_u32());
        if bytes.get_u32() != checksum {
            return Err(Corrupt::PreludeChecksum);
        }
        let prelude = Prelude {
            total: total as usize,
            headers: headers as usize,
        };
        if !(OVERHEAD..=MAX_FRAME).contains(&prelude.total) {
            return Err(Corrupt::Length(total));
        }
        if prelude.headers > MAX_HEADERS || prelude.headers > prelude.total - OVERHEAD {
            return Err(Corrupt::HeadersLength(headers));
        }
        Ok(Some(prelude))
    }

    /// Cuts off the frame at the front if all of it is there: without a copy if it lies in one chunk.
    fn take(&mut self, total: usize) -> Option<Bytes> {
        if self.partial.is_empty() && self.chunk.len() >= total {
            return Some(self.chunk.split_to(total));
        }
        self.gather(total);
        (self.partial.len() == total).then(|| self.partial.split().freeze())
    }

    /// Moves bytes from the chunk to the partial frame, until that has `length` bytes or the chunk is used up.
    fn gather(&mut self, length: usize) {
        let missing = length
            .saturating_sub(self.partial.len())
            .min(self.chunk.len());
        if self.partial.is_empty() {
            self.partial.reserve(length.min(RESERVE));
        }
        self.partial
            .extend_from_slice(&self.chunk.split_to(missing));
    }
}

fn whole(frame: &Bytes, prelude: Prelude) -> Result<Message, Corrupt> {
    let end = prelude.total - 4;
    let mut checksum = frame.slice(end..);
    if crc32fast::hash(&frame[..end]) != checksum.get_u32() {
        return Err(Corrupt::MessageChecksum);
    }
    let payload = PRELUDE + prelude.headers;
    let mut message = Message {
        payload: frame.slice(payload..end),
        ..Message::default()
    };
    let mut headers = frame.slice(PRELUDE..payload);
    while !headers.is_empty() {
        let header = header::read(&mut headers).ok_or(Corrupt::Header)?;
        match &*header.name {
            b":message-type" => message.message_type = header.text,
            b":event-type" | b":exception-type" | b":error-code" => message.name = header.text,
            b":error-message" => message.error_message = header.text,
            _ => {}
        }
    }
    if message.message_type.is_empty() {
        return Err(Corrupt::MessageType);
    }
    Ok(message)
}

#[cfg(test)]
mod tests;
