//! Receives the one request message of a call.
//!
//! tonic's own decoder reserves as much memory as the start of a message declares, and waits for
//! the remaining bytes without a limit. Here, buffers grow as bytes arrive, and all requests that
//! are being received share one memory budget. A client that sends nothing, or sends more slowly
//! than the minimum rate, loses its slot. The message is decoded later, on another thread if it is
//! large.
//!
//! | file | job |
//! |---|---|
//! | `receiver` | reads a message as it arrives |
//! | `received` | a message that has arrived |
//! | `pieces` | buffers bytes as they arrive |
//! | `pace` | enforces the minimum rate at which a client must send |
//! | `unpack` | decompresses a message within limits |
//! | `decode` | decodes a message |
//! | `held` | creates bodies that hold the memory budget of their message |
//! | `failures` | the failures that can occur while a message is received |

mod decode;
mod failures;
mod held;
mod pace;
mod pieces;
mod received;
mod receiver;
mod unpack;

pub(super) use decode::Footprint;
pub(crate) use decode::decode;
pub(super) use failures::saturated;
pub(super) use held::{held, held_twice};
pub(super) use received::{Effort, Received};
pub(crate) use receiver::Receiver;
