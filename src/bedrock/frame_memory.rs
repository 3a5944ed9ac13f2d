//! The memory of large frames. The gateway's budget is divided among callers, whom this module does
//! not know, so a call brings its own access to the budget.

use std::{any::Any, pin::Pin, sync::Arc};

use crate::error::Failure;

/// Frames that declare more bytes than this need a reservation. Bedrock's frames have a few hundred
/// bytes; with this limit, frames without a reservation take at most some 32 MiB for 1,024 streams.
pub(super) const LARGE_FRAME: usize = 16 << 10;
/// How often the bytes of an event are in memory at the same time: in the frame and in the message
/// for the client, and then in that message and in its encoded form.
pub(super) const COPIES: usize = 2;

/// Reserved memory, which is given back when the last clone is dropped.
pub type FrameRoom = Arc<dyn Any + Send + Sync>;
/// Waits for memory. Fails if the call must not wait for it.
pub type Reservation = Pin<Box<dyn Future<Output = Result<FrameRoom, Failure>> + Send>>;

/// A call's access to the memory budget.
pub trait FrameMemory: Send + Sync {
    /// Reserves this many bytes for a frame and what is made from it.
    fn reserve(&self, bytes: usize) -> Reservation;
}
