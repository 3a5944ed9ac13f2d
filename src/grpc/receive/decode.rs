//! From the bytes of a message to the message, within the budget.

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

/// What decoding may take in addition to the bytes of a message: more than a hundred thousand
/// parts.
const MAX_OVERHEAD: usize = 64 << 20;

/// A decoded message.
pub(crate) struct Decoded<T> {
    pub(crate) message: T,
    /// About how long the message is as JSON.
    pub(crate) json_bytes: usize,
    /// What it holds of the budget.
    pub(crate) memory: Arc<Share>,
}

/// Decodes a message of the type of this name. It is measured first: two bytes can become some
/// hundred.
///
/// # Errors
/// It is not a message of this type, has too many parts, or there is no memory for it.
pub(crate) fn decode<T: Message + Default>(
    type_name: &str,
    received: Received,
    limits: &Limits,
    stop: &Stop,
) -> Result<Decoded<T>, Failure> {
    let (bytes, memory) = received.unpack(limits, stop)?;
    let measure =
        pb::measure(type_name, &bytes, MAX_OVERHEAD, || stop.is_set()).map_err(|why| match why {
            Unmeasured::Malformed => unreadable(&format!("it is no {type_name}")),
            Unmeasured::TooMuch => too_large(format_args!(
                "it has too many parts: decoded they take more than {MAX_OVERHEAD} bytes in addition to its {}",
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
    Ok(Decoded {
        message,
        json_bytes,
        memory,
    })
}
