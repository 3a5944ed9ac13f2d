//! Receives the one request message of a call.
//!
//! tonic's own decoder reserves the length that a message's head declares, and waits for the rest
//! without a limit. Here, buffers grow as bytes arrive, and all requests that are being received
//! share one memory budget. A client that sends nothing, or less than the minimum rate, loses its
//! slot. The message is decoded later, on another thread if it is large.
//!
//! | file | job |
//! |---|---|
//! | `receiver` | reads a message as it arrives |
//! | `received` | a message that has arrived |
//! | `pieces` | buffers for bytes as they arrive |
//! | `pace` | the minimum rate at which a client must send |
//! | `unpack` | decompresses within limits |
//! | `decode` | decodes a message |
//! | `held` | a body that was made from a message |
//! | `failures` | the failures of receiving a message |

mod decode;
mod failures;
mod held;
mod pace;
mod pieces;
mod received;
mod receiver;
mod unpack;

pub(super) use decode::Decoded;
pub(crate) use decode::decode;
pub(super) use failures::saturated;
pub(super) use held::held;
pub(super) use received::{Effort, Received};
pub(crate) use receiver::Receiver;
