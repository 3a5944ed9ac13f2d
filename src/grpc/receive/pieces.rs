//! Buffers the bytes of a message. Buffers grow as bytes arrive, and are rarely moved.

use bytes::Bytes;

use crate::bounds::{Limited, Share, Stop};

/// The size of the first buffer of a message that needs more than one, in bytes.
const FIRST: usize = 4 << 10;
/// The maximum size of a buffer, in bytes. It is limited so that moving a buffer never takes long.
const PIECE: usize = 256 << 10;

/// A message of known length whose bytes are arriving.
pub(super) struct Pieces {
    full: Vec<Vec<u8>>,
    last: Vec<u8>,
    len: usize,
    missing: usize,
}

impl Pieces {
    /// Creates an empty message of this length. Takes no memory until bytes arrive.
    pub(super) fn of(length: usize) -> Self {
        Self {
            full: Vec::new(),
            last: Vec::new(),
            len: 0,
            missing: length,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the number of bytes that have not arrived yet.
    pub(super) fn missing(&self) -> usize {
        self.missing
    }

    /// Adds bytes. There must not be more bytes than [`Self::missing`].
    ///
    /// # Errors
    /// Fails if there is not enough memory.
    pub(super) fn push(&mut self, mut data: &[u8], memory: &Share) -> Result<(), Limited> {
        while !data.is_empty() {
            let mut room = self.last.capacity() - self.last.len();
            if room == 0 {
                if self.last.len() >= PIECE {
                    self.full.push(std::mem::take(&mut self.last));
                }
                let length = self.last.len();
                let wanted = (2 * length)
                    .clamp(FIRST, PIECE)
                    .min(length.saturating_add(self.missing));
                room = wanted - length;
                memory.grow(room)?;
                self.last.reserve_exact(room);
            }
            let (now, rest) = data.split_at(room.min(data.len()));
            self.last.extend_from_slice(now);
            self.len += now.len();
            self.missing = self.missing.saturating_sub(now.len());
            data = rest;
        }
        Ok(())
    }

    /// Returns all bytes in one buffer. If `stop` is set during this, the result is incomplete.
    pub(super) fn join(self, stop: &Stop) -> Bytes {
        if self.full.is_empty() {
            return self.last.into();
        }
        let mut whole = Vec::with_capacity(self.len);
        // Each piece is freed as soon as it was copied.
        for piece in self.full.into_iter().chain([self.last]) {
            if stop.is_set() {
                break;
            }
            whole.extend_from_slice(&piece);
        }
        whole.into()
    }

    /// Returns the bytes in their order.
    pub(super) fn into_reader(self) -> impl std::io::Read {
        let pieces = self.full.into_iter().chain([self.last]);
        Reader {
            pieces,
            current: std::io::Cursor::default(),
        }
    }
}

/// Reads pieces one after the other, and frees each piece after it was read.
struct Reader<I> {
    pieces: I,
    current: std::io::Cursor<Vec<u8>>,
}

impl<I: Iterator<Item = Vec<u8>>> std::io::Read for Reader<I> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let read = self.current.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            match self.pieces.next() {
                Some(piece) => self.current = std::io::Cursor::new(piece),
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use prometheus_client::metrics::counter::Counter;

    use super::*;
    use crate::bounds::{ShareOwner, Shares};

    #[test]
    fn memory_follows_the_bytes() {
        let shares = Shares::new("memory", 64 << 20, Counter::default());
        for length in [1, 100, FIRST, FIRST + 1, PIECE, PIECE + 1, 3 << 20] {
            let memory = shares.take(ShareOwner::Unknown, 0).unwrap();
            let bytes: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let mut pieces = Pieces::of(length);
            assert_eq!(shares.used(), 0);
            for part in bytes.chunks(1_000) {
                pieces.push(part, &memory).unwrap();
                let held: usize = pieces.full.iter().map(Vec::capacity).sum();
                assert!(held + pieces.last.capacity() <= shares.used());
                assert!(shares.used() <= (2 * pieces.len()).max(FIRST));
            }
            assert_eq!(pieces.missing(), 0);
            assert!(shares.used() >= length);
            let mut read = Vec::new();
            let mut again = Pieces::of(length);
            again.push(&bytes, &memory).unwrap();
            again.into_reader().read_to_end(&mut read).unwrap();
            assert!(read == bytes && pieces.join(&Stop::never()) == bytes);
        }
    }

    #[test]
    fn no_more_is_kept_than_there_is_memory_for() {
        let shares = Shares::new("memory", 10 << 10, Counter::default());
        let memory = shares.take(ShareOwner::Unknown, 0).unwrap();
        let mut pieces = Pieces::of(32 << 20);
        pieces.push(&[0; 4 << 10], &memory).unwrap();
        pieces.push(&[0; 4 << 10], &memory).unwrap();
        assert_eq!(pieces.push(&[0; 4 << 10], &memory), Err(Limited::Full));
    }
}
