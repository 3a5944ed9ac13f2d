//! Decodes the AWS event-stream encoding incrementally. Performs no I/O, and does not depend on
//! Bedrock.
//!
//! A frame consists of the total length (u32), the length of the headers (u32), a CRC-32 of these
//! eight bytes, the headers, the payload, and a CRC-32 of everything before it. All numbers are
//! big-endian.

mod header;

use bytes::{Buf, Bytes, BytesMut};

/// The size of the two lengths and their checksum, in bytes.
const PRELUDE: usize = 12;
/// The size of the smallest frame, in bytes. It has only the prelude and the final checksum.
const OVERHEAD: usize = PRELUDE + 4;
/// The maximum size of a frame, in bytes. It is above AWS's limits of 16 MiB of payload and 128 KiB
/// of headers.
const MAX_FRAME: usize = 24 * 1024 * 1024;
/// The maximum size of the headers, in bytes. This is AWS's limit.
const MAX_HEADERS: usize = 128 * 1024;
/// The maximum memory that is reserved when a prelude arrives, in bytes. More is reserved only as
/// bytes arrive, so a wrong length does not waste memory.
const RESERVE: usize = 64 * 1024;

/// A decoded frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The value of `:message-type`: event, exception or error.
    pub(crate) message_type: Bytes,
    /// The value of `:event-type`, `:exception-type` or `:error-code`, depending on the message
    /// type.
    pub(crate) name: Bytes,
    /// The value of `:error-message`. Empty unless the message is an error.
    pub(crate) error_message: Bytes,
    /// The payload, which is JSON.
    pub(crate) payload: Bytes,
}

/// Why bytes are not a frame. The rest of the stream cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CorruptFrame {
    #[error("a frame's lengths do not match their checksum")]
    PreludeChecksum,
    #[error("a frame does not match its checksum")]
    MessageChecksum,
    #[error("a frame declares {0} bytes, more than the maximum")]
    Length(u32),
    #[error("a frame declares {0} bytes of headers, more than the maximum")]
    HeadersLength(u32),
    #[error("a frame's headers are malformed")]
    Header,
    #[error("a frame has no message type")]
    MessageType,
}

/// Decodes chunks of bytes, of any size, into [`Frame`]s.
#[derive(Debug, Default)]
pub(crate) struct FrameDecoder {
    /// The start of a frame whose end has not arrived yet.
    partial: BytesMut,
    /// The part of the last chunk that was not decoded yet.
    chunk: Bytes,
    /// The lengths of the current frame, after its prelude has been verified.
    frame: Option<Prelude>,
}

#[derive(Clone, Copy, Debug)]
struct Prelude {
    total: usize,
    headers: usize,
}

impl FrameDecoder {
    /// Adds the next bytes. Must be called only after [`Self::decode`] has returned `None`.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            // Callers do not do this, but no bytes may be lost if one does.
            let mut joined = BytesMut::with_capacity(self.chunk.len() + chunk.len());
            joined.extend_from_slice(&self.chunk);
            joined.extend_from_slice(&chunk);
            self.chunk = joined.freeze();
        }
    }

    /// Returns whether the bytes so far end with a complete frame.
    pub(crate) fn is_at_boundary(&self) -> bool {
        self.partial.is_empty() && self.chunk.is_empty()
    }

    /// Returns the size of the next frame in bytes, or `None` if its prelude has not arrived.
    pub(crate) fn declared(&mut self) -> Result<Option<usize>, CorruptFrame> {
        if self.frame.is_none() {
            self.frame = self.prelude()?;
        }
        Ok(self.frame.map(|prelude| prelude.total))
    }

    /// Returns the next frame, or `None` if more bytes are needed.
    pub(crate) fn decode(&mut self) -> Result<Option<Frame>, CorruptFrame> {
        self.declared()?;
        let Some(prelude) = self.frame else {
            return Ok(None);
        };
        let Some(frame) = self.take(prelude.total) else {
            return Ok(None);
        };
        self.frame = None;
        whole(&frame, prelude).map(Some)
    }

    fn prelude(&mut self) -> Result<Option<Prelude>, CorruptFrame> {
        if self.is_at_boundary() {
            return Ok(None);
        }
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
            return Err(CorruptFrame::PreludeChecksum);
        }
        let prelude = Prelude {
            total: total as usize,
            headers: headers as usize,
        };
        if !(OVERHEAD..=MAX_FRAME).contains(&prelude.total) {
            return Err(CorruptFrame::Length(total));
        }
        if prelude.headers > MAX_HEADERS || prelude.headers > prelude.total - OVERHEAD {
            return Err(CorruptFrame::HeadersLength(headers));
        }
        Ok(Some(prelude))
    }

    /// Removes and returns the first frame if it is complete. A frame that lies in one chunk is not
    /// copied.
    fn take(&mut self, total: usize) -> Option<Bytes> {
        if self.partial.is_empty() && self.chunk.len() >= total {
            return Some(self.chunk.split_to(total));
        }
        self.gather(total);
        if self.partial.len() < total {
            return None;
        }
        // The whole buffer goes with a large frame: its rest would keep the memory of the frame.
        let frame = if total > RESERVE {
            std::mem::take(&mut self.partial)
        } else {
            self.partial.split()
        };
        Some(frame.freeze())
    }

    /// Moves bytes from the chunk to the partial frame until that has `length` bytes.
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

fn whole(frame: &Bytes, prelude: Prelude) -> Result<Frame, CorruptFrame> {
    let end = prelude.total - 4;
    let mut checksum = frame.slice(end..);
    if crc32fast::hash(&frame[..end]) != checksum.get_u32() {
        return Err(CorruptFrame::MessageChecksum);
    }
    let payload = PRELUDE + prelude.headers;
    let mut message = Frame {
        payload: frame.slice(payload..end),
        ..Frame::default()
    };
    let mut headers = frame.slice(PRELUDE..payload);
    while !headers.is_empty() {
        let header = header::read(&mut headers).ok_or(CorruptFrame::Header)?;
        match &*header.name {
            b":message-type" => message.message_type = header.text,
            b":event-type" | b":exception-type" | b":error-code" => message.name = header.text,
            b":error-message" => message.error_message = header.text,
            _ => {}
        }
    }
    if message.message_type.is_empty() {
        return Err(CorruptFrame::MessageType);
    }
    Ok(message)
}

#[cfg(test)]
mod tests;
