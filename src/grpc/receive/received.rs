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

/// The size below which messages are decoded on the worker's thread, in bytes. Measured: 256 KiB
/// take at most a few milliseconds.
const SMALL: usize = 256 << 10;

/// A message that has arrived.
pub(crate) struct Received {
    pub(super) pieces: Pieces,
    pub(super) encoding: Option<Encoding>,
    /// The part of the budget that the message holds, until the message and all values that were
    /// made from it are dropped.
    pub(super) memory: Arc<Share>,
}

impl Received {
    /// Returns whether decoding the message may take long.
    pub(crate) fn is_large(&self) -> bool {
        self.encoding.is_some() || self.pieces.len() > SMALL
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
