//! Reads the one message of a call from its connection.
//!
//! tonic's own decoder reserves what a message's head claims, and waits for the rest without a
//! limit. Here, buffers grow as bytes arrive, all that is being received shares one budget, and a
//! client that sends nothing, or less than the minimum rate, loses its place. The message is
//! decoded later, on another thread if it is large.
//!
//! | file | job |
//! |---|---|
//! | `receiver` | reads a message as it arrives |
//! | `received` | a message that has arrived |
//! | `pieces` | bytes as they arrive |
//! | `pace` | how slow a client may be |
//! | `unpack` | decompression within bounds |
//! | `decode` | from bytes to a message |
//! | `failures` | what can be wrong |

mod decode;
mod failures;
mod pace;
mod pieces;
mod received;
mod receiver;
mod unpack;

pub(super) use decode::{Decoded, decode};
pub(super) use failures::saturated;
pub(super) use received::Received;
pub(super) use receiver::Receiver;
