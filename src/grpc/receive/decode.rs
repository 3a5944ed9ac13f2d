//! Decodes a message within the memory budget.

use std::sync::Arc;

use prost::Message;

use super::{
    failures::{saturated, too_large, unreadable},
    received::Received,
};
use crate::{
    bounds::{Share, Stop},
    config::Limits,
    error::{Failure, Reason},
    pb::{self, Unmeasured},
};

/// The maximum memory that decoding may take in addition to the bytes of a message. It is
/// sufficient for more than a hundred thousand parts.
const MAX_OVERHEAD: usize = 64 << 20;

/// The size of a decoded message.
pub(crate) struct Footprint {
    /// The approximate length of the message as JSON, in bytes.
    pub(crate) json_bytes: usize,
    /// The part of the memory budget that the message holds.
    pub(crate) memory: Arc<Share>,
}

/// Decodes a message of the type with this name, and returns its size. The message is measured
/// first, because two encoded bytes can need some hundred bytes of memory.
///
/// # Errors
/// Fails if the bytes are not a message of this type, if the message has too many parts, or if
/// there is not enough memory.
pub(crate) fn decode<T: Message + Default>(
    type_name: &str,
    received: Received,
    limits: &Limits,
    stop: &Stop,
) -> Result<(T, Footprint), Failure> {
    let (bytes, memory) = received.unpack(limits, stop)?;
    let measure =
        pb::measure(type_name, &bytes, MAX_OVERHEAD, || stop.is_set()).map_err(|why| match why {
            Unmeasured::Malformed => unreadable(&format!("it is not a valid {type_name}")),
            Unmeasured::TooMuch => too_large(format_args!(
                "it has too many parts: decoding them takes more than {MAX_OVERHEAD} bytes in addition to its {}",
                bytes.len()
            )),
            Unmeasured::Stopped => {
                Failure::new(Reason::Cancelled, "the client cancelled the call")
            }
        })?;
    let json_bytes = measure.json + measure.overhead / 8;
    memory
        .grow(measure.overhead + measure.text + json_bytes)
        .map_err(saturated)?;
    let message = T::decode(bytes).map_err(|error| unreadable(&error.to_string()))?;
    Ok((message, Footprint { json_bytes, memory }))
}
