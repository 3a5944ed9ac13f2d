//! Accounts for the memory of Bedrock's answers. It is taken from the same budget as that of
//! requests.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::{
    bedrock::{FrameMemory, FrameRoom, Reservation},
    bounds::{Share, ShareOwner, Shares},
    error::{Failure, Reason},
    stream::no_memory,
};

/// The maximum size of the answer that `Invoke` collects, in bytes of its events. Source:
/// docs/limits.md.
const MAX_ANSWER: usize = 64 << 20;
/// The memory that such an answer may use without a reservation from the budget, in bytes: twice
/// the size of its events. Most answers are smaller, so they succeed even if other clients use up
/// the budget.
const FREE_ANSWER: usize = 256 << 10;
/// The step in which a larger answer takes memory from the budget, in bytes.
const ANSWER_STEP: usize = 64 << 10;

/// A call's access to the memory budget.
///
/// A stream waits: its call has begun, so it must not fail, and while it waits, the gateway does
/// not read from Bedrock. It can't block itself, because it holds memory only for an event that the
/// client can read. `Invoke` does not wait: it holds what it has collected, so calls that wait for
/// each other would wait until their deadline.
pub(super) struct AnswerMemory {
    pub(super) memory: Shares,
    pub(super) peer: ShareOwner,
    /// The memory budget when the call began. A lower one does not apply to the call.
    pub(super) begun_with: usize,
    pub(super) waits: bool,
    pub(super) latest: LatestRoom,
}

/// The memory of the latest large event of a call, for the body of the response: the encoded
/// message needs it until it is sent, which is later than the next event is requested.
#[derive(Clone, Debug, Default)]
pub(super) struct LatestRoom(Arc<Mutex<Weak<Share>>>);

impl LatestRoom {
    /// Returns the memory of an answer with one message. `room` must live until the message is
    /// encoded.
    pub(super) fn of(room: &Arc<Share>) -> Self {
        let latest = Self::default();
        latest.set(room);
        latest
    }

    /// Returns the memory, if it was not given back yet.
    pub(super) fn get(&self) -> Option<Arc<Share>> {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.upgrade()
    }

    fn set(&self, room: &Arc<Share>) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Arc::downgrade(room);
    }
}

impl FrameMemory for AnswerMemory {
    fn reserve(&self, bytes: usize) -> Reservation {
        let (memory, peer, waits) = (self.memory.clone(), self.peer, self.waits);
        let (begun_with, latest) = (self.begun_with, self.latest.clone());
        Box::pin(async move {
            let share = if waits {
                memory.take_when_free(peer, bytes, begun_with).await
            } else {
                let share = memory.take_as_begun(peer, bytes, begun_with);
                let share = share.map_err(|_| no_memory())?;
                share.keep().map_err(|_| no_memory())?;
                share
            };
            let room = Arc::new(share);
            latest.set(&room);
            Ok(room as FrameRoom)
        })
    }
}

/// The memory of the answer that `Invoke` collects.
pub(super) struct CollectedAnswer {
    memory: Shares,
    peer: ShareOwner,
    begun_with: usize,
    /// The size of the events so far, in bytes.
    size: usize,
    counted: usize,
    held: Option<Share>,
}

impl CollectedAnswer {
    /// `of_call` is the access of the call to the memory budget.
    pub(super) fn new(of_call: &AnswerMemory) -> Self {
        Self {
            memory: of_call.memory.clone(),
            peer: of_call.peer,
            begun_with: of_call.begun_with,
            size: 0,
            counted: FREE_ANSWER,
            held: None,
        }
    }

    /// Takes memory for an event of this size.
    ///
    /// # Errors
    /// Fails if the answer is too large, or if there is not enough memory.
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), Failure> {
        self.size += bytes;
        if self.size > MAX_ANSWER {
            return Err(Failure::new(
                Reason::MessageTooLarge,
                format!("the answer has more than {MAX_ANSWER} bytes; use StreamInvoke"),
            ));
        }
        // The size is doubled, because a second copy exists while the answer is encoded for the
        // client.
        while self.counted < 2 * self.size {
            match &self.held {
                Some(held) => held.grow(ANSWER_STEP).map_err(|_| no_memory())?,
                None => {
                    let share = self
                        .memory
                        .take_as_begun(self.peer, ANSWER_STEP, self.begun_with);
                    let share = share.map_err(|_| no_memory())?;
                    // Bedrock has billed the answer, so its memory must not be given to another
                    // client.
                    share.keep().map_err(|_| no_memory())?;
                    self.held = Some(share);
                }
            }
            self.counted += ANSWER_STEP;
        }
        Ok(())
    }

    /// Returns the memory, which must be held until the client has read the answer.
    pub(super) fn held(self) -> Option<Share> {
        self.held
    }
}
