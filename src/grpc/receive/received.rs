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

/// Smaller messages are decoded where they arrived. Measured: 256 KiB take at most a few
/// milliseconds.
const SMALL: usize = 256 << 10;

/// A message that has arrived.
pub(crate) struct Received {
    pub(super) pieces: Pieces,
    pub(super) encoding: Option<Encoding>,
    /// What the message holds of the budget, as long as it or something made of it lives.
    pub(super) memory: Arc<Share>,
}

impl Received {
    /// Returns whether decoding it may take long.
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
