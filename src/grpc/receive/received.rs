//! A message that has arrived and is not decoded yet.

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

/// The size up to which messages are decoded on the worker's thread, in bytes. Measured: text takes
/// 2 ms for 256 KiB, but numbers in JSON and raw members take 40 ms. Thus 32 KiB take at most 5 ms.
const SMALL: usize = 32 << 10;
/// The size up to which decoding a message takes at most some 50 ms, in bytes.
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
    /// The part of the budget that the message holds, until the message and all values that were
    /// made from it are dropped.
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

    /// Returns the encoded message in one piece, decompressed.
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
