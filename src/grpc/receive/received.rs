//! Represents a message that has arrived and has not been decoded yet.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    pieces::Pieces,
    unpack::{self, Encoding},
};
use crate::{
    bounds::{Share, Stop},
    config::Limits,
    error::Failure,
};

/// The maximum size of messages that are decoded on the worker's thread, in bytes. In measurements,
/// 256 KiB of text took 2 ms, but 256 KiB of numbers in JSON or of raw members took 40 ms. So 32
/// KiB take at most 5 ms.
const SMALL: usize = 32 << 10;
/// The maximum size of messages that take at most about 50 ms to decode, in bytes.
const MEDIUM: usize = 256 << 10;

/// How long decoding a message may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A few milliseconds.
    Small,
    /// Too long for a thread that forwards tokens.
    Medium,
    /// Seconds.
    Large,
}

/// A message that has arrived.
pub(crate) struct Received {
    pub(super) pieces: Pieces,
    pub(super) encoding: Option<Encoding>,
    /// The part of the memory budget that the message holds. It is released when the message and
    /// all values that were made from it are dropped.
    pub(super) memory: Arc<Share>,
}

impl Received {
    /// Returns how long decoding the message may take.
    pub(crate) fn effort(&self) -> Effort {
        let length = self.pieces.len();
        if self.encoding.is_some() || length > MEDIUM {
            Effort::Large
        } else if length > SMALL {
            Effort::Medium
        } else {
            Effort::Small
        }
    }

    /// Returns the encoded message as one buffer, decompressed.
    pub(super) fn unpack(
        self,
        limits: &Limits,
        stop: &Stop,
    ) -> Result<(Bytes, Arc<Share>), Failure> {
        let bytes = match self.encoding {
            None => self.pieces.join(stop),
            Some(encoding) => {
                unpack::decompress(encoding, self.pieces, limits, &self.memory, stop)?
            }
        };
        Ok((bytes, self.memory))
    }
}
