//! Observes whether the client of a call still reads messages. A client that reads causes polls of
//! the gRPC response body.
//!
//! If the client leaves no flow-control window, HTTP/2 does not poll the body. Then neither the
//! call nor its timers are polled, so the watchdog checks the state in this module instead.

use std::{mem, time::Duration};

use tokio::time::Instant;

use super::failure::{client_stalled, deadline_exceeded};
use crate::error::Failure;

/// How long the client's end may take to poll for a message after it was woken. The client's end
/// runs on the same thread, so it normally polls at once.
const ANSWER: Duration = Duration::from_millis(100);

/// The last observation of the client's end.
enum Observed {
    /// The client's end polled for a message, and there was none.
    Waits,
    /// The watchdog woke the client's end to check whether it still polls. It will poll, unless it
    /// cannot send earlier messages.
    Woken,
    /// The client's end received a message at about this time, and has not polled since.
    Takes(Instant),
}

/// The client's end of a call.
pub(super) struct ClientEnd {
    observed: Observed,
    /// When the watchdog last woke the client's end.
    woken: Option<Instant>,
}

/// The watchdog's next action.
pub(super) enum Watch {
    /// Check again at this time.
    At(Instant),
    /// The call has ended; nothing is left to watch.
    Over,
}

/// The result of a check of the client's end.
pub(super) enum Check {
    /// Check again at this time.
    At(Instant),
    /// Wake the client's end, and check again at this time.
    WakeThenAt(Instant),
    /// End the call with this failure.
    Fail(Failure),
}

impl ClientEnd {
    /// Creates the state of the client's end for a new call.
    pub(super) fn new() -> Self {
        Self {
            observed: Observed::Waits,
            woken: None,
        }
    }

    /// Records that the client's end polls for a message.
    pub(super) fn polls(&mut self) {
        self.observed = Observed::Waits;
    }

    /// Records that the client's end receives a message, at about this time.
    pub(super) fn takes(&mut self, at: Instant) {
        self.observed = Observed::Takes(at);
    }

    /// Returns whether the client's end has polled since the last check.
    pub(super) fn has_polled(&mut self) -> bool {
        !matches!(
            mem::replace(&mut self.observed, Observed::Woken),
            Observed::Woken
        )
    }

    /// Checks whether the client still reads. `told` is the time at which the client last received
    /// a message.
    pub(super) fn check(
        &mut self,
        now: Instant,
        told: Instant,
        deadline: Instant,
        write_stall: Duration,
    ) -> Check {
        let since = match self.observed {
            Observed::Takes(since) => since,
            Observed::Woken => told,
            // `Waits` does not prove that the client reads: gRPC's encoder polls for one more
            // message before it sends the messages that it has. If it cannot send them, it does not
            // poll again.
            Observed::Waits => {
                let known = self.woken.map_or(told, |woken| woken.max(told));
                let due = deadline.min(known + write_stall);
                if now < due {
                    return Check::At(due);
                }
                self.observed = Observed::Woken;
                self.woken = Some(now);
                return Check::WakeThenAt(now + ANSWER);
            }
        };
        if now >= deadline {
            Check::Fail(deadline_exceeded())
        } else if now >= since + write_stall {
            Check::Fail(client_stalled(write_stall))
        } else {
            Check::At(deadline.min(since + write_stall))
        }
    }
}
