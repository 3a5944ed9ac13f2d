//! Decompresses requests within a maximum ratio, if the operator allows compression.

use std::io::Read;

use bytes::Bytes;
use http::HeaderMap;

use super::{
    failures::{saturated, too_large, unreadable},
    pieces::Pieces,
};
use crate::{
    bounds::{Share, Stop},
    config::Limits,
    error::{Failure, Reason},
};

/// The number of bytes that are decompressed in one step.
const STEP: usize = Stop::INTERVAL;
/// The size up to which a message may expand at any ratio, in bytes.
const FREE: usize = 64 << 10;
/// The maximum window of zstd, as a power of two. RFC 8878 recommends that decoders support 8 MiB.
const MAX_ZSTD_WINDOW_LOG: u32 = 23;

/// The compression of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Zstd,
}

impl Encoding {
    /// Returns the encoding that `grpc-encoding` names.
    ///
    /// # Errors
    /// Fails if the encoding is unknown, or if compressed requests are not accepted.
    pub(super) fn of(headers: &HeaderMap, accepts: bool) -> Result<Option<Self>, Failure> {
        let Some(value) = headers.get("grpc-encoding") else {
            return Ok(None);
        };
        let encoding = match value.as_bytes() {
            b"identity" => return Ok(None),
            b"gzip" => Self::Gzip,
            b"zstd" => Self::Zstd,
            _ => {
                let known = if accepts {
                    "identity, gzip, zstd"
                } else {
                    "identity"
                };
                return Err(Failure::new(
                    Reason::Unimplemented,
                    format!("this grpc-encoding is unknown: use one of {known}"),
                ));
            }
        };
        if accepts {
            Ok(Some(encoding))
        } else {
            Err(Failure::new(
                Reason::Unimplemented,
                "this gateway accepts no compressed requests: send them uncompressed, or ask the operator to set \
                 limits.max_compression_ratio",
            ))
        }
    }
}

/// Decompresses a message.
///
/// # Errors
/// Fails if the message expands beyond the ratio or the size limit, if there is not enough memory,
/// or if the message is not compressed with this encoding.
pub(super) fn decompress(
    encoding: Encoding,
    pieces: Pieces,
    limits: &Limits,
    memory: &Share,
    stop: &Stop,
) -> Result<Bytes, Failure> {
    let ratio = limits.max_compression_ratio as usize;
    let by_ratio = pieces.len().saturating_mul(ratio).max(FREE);
    let compressed = pieces.into_reader();
    let broken = |_| unreadable("it cannot be decompressed");
    let mut reader: Box<dyn Read> = match encoding {
        Encoding::Gzip => Box::new(flate2::read::MultiGzDecoder::new(compressed)),
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::new(compressed).map_err(broken)?;
            decoder
                .window_log_max(MAX_ZSTD_WINDOW_LOG)
                .map_err(broken)?;
            Box::new(decoder)
        }
    };
    let mut out = Vec::new();
    loop {
        if stop.is_set() {
            return Ok(Bytes::new());
        }
        if out.capacity() - out.len() < STEP {
            let more = out.len().max(STEP);
            memory.grow(more).map_err(saturated)?;
            out.reserve_exact(more);
        }
        let before = out.len();
        let read = reader
            .by_ref()
            .take(STEP as u64)
            .read_to_end(&mut out)
            .map_err(broken)?;
        if read == 0 {
            out.truncate(before);
            return Ok(out.into());
        }
        let max = limits.max_request_size;
        if out.len() > max {
            return Err(too_large(format_args!(
                "it has more than {max} bytes after decompression"
            )));
        }
        if out.len() > by_ratio {
            return Err(too_large(format_args!(
                "it expands to more than {ratio} times its size, which is limits.max_compression_ratio"
            )));
        }
    }
}
