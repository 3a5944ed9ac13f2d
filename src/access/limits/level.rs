//! The arithmetic of one count. It uses only integers, so that all stores compute the same results.
//!
//! | window | what is counted | when it becomes available again |
//! |---|---|---|
//! | open | open calls | when a call ends |
//! | minute | the used amount that is not refilled yet, times 60,000 | `limit` per millisecond |
//! | day, month | the amount used in the current period | when the next period begins |

use super::{
    kind::{Limit, Window},
    period::{DAY, end_of, number_of},
};

/// The number of milliseconds in a minute. Buckets count amounts multiplied by this number, so that
/// the refill of one millisecond is an integer.
const MINUTE: u64 = 60_000;

/// One count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// The amount in use. For buckets, it is multiplied by 60,000, so that refills are exact.
    taken: u64,
    /// For buckets, the time of the last update, in milliseconds since 1970. For days and months,
    /// the number of the period.
    at: u64,
}

impl Level {
    /// Creates a count from the values in a remote store.
    pub(super) const fn new(taken: u64, at: u64) -> Self {
        Self { taken, at }
    }

    /// Returns the count at this time. If the clock was set back, nothing has been refilled.
    fn now(self, limit: &Limit, now: u64) -> Self {
        match limit.kind.window() {
            Window::Open => self,
            Window::Minute => {
                let at = self.at.max(now);
                let refilled = (at - self.at).saturating_mul(limit.most);
                Self {
                    taken: self.taken.saturating_sub(refilled),
                    at,
                }
            }
            window => {
                let current = number_of(window, now);
                if current > self.at {
                    Self {
                        taken: 0,
                        at: current,
                    }
                } else {
                    self
                }
            }
        }
    }

    /// Returns the remaining amount of the limit.
    pub(super) fn left(self, limit: &Limit, now: u64) -> u64 {
        let taken = self.now(limit, now).taken;
        match limit.kind.window() {
            Window::Minute => (limit.most * MINUTE).saturating_sub(taken) / MINUTE,
            _ => limit.most.saturating_sub(taken),
        }
    }

    /// Checks whether a further amount fits into the limit.
    ///
    /// # Errors
    /// Returns the number of milliseconds after which the amount may fit. `None` if it does not fit
    /// before the next month, or exceeds the limit itself.
    pub(super) fn fits(self, limit: &Limit, amount: u64, now: u64) -> Result<(), Option<u64>> {
        let level = self.now(limit, now);
        match limit.kind.window() {
            Window::Open => {
                if level.taken.saturating_add(amount) <= limit.most {
                    Ok(())
                } else {
                    Err(Some(1_000))
                }
            }
            Window::Minute => {
                let full = limit.most * MINUTE;
                let wanted = level.taken.saturating_add(amount.saturating_mul(MINUTE));
                if wanted <= full {
                    Ok(())
                } else if amount > limit.most {
                    Err(None)
                } else {
                    // The time until the excess is refilled. If the clock was set back, the refill
                    // starts only when the clock has caught up, so this time is added.
                    let behind = level.at.saturating_sub(now);
                    Err(Some((wanted - full).div_ceil(limit.most) + behind))
                }
            }
            window => {
                if level.taken.saturating_add(amount) <= limit.most {
                    Ok(())
                } else if amount > limit.most || window == Window::Month {
                    Err(None)
                } else {
                    Err(Some(((level.at + 1) * DAY).saturating_sub(now)))
                }
            }
        }
    }

    /// Adds an amount to the count.
    pub(super) fn take(&mut self, limit: &Limit, amount: u64, now: u64) {
        *self = self.now(limit, now);
        self.taken = self.taken.saturating_add(scaled(limit, amount));
    }

    /// Corrects the amount of a call that reserved `taken` at the time `then` and has used
    /// `actual`. Nothing changes if that day or month is over.
    pub(super) fn correct(&mut self, limit: &Limit, taken: u64, actual: u64, then: u64, now: u64) {
        *self = self.now(limit, now);
        let window = limit.kind.window();
        let is_current = match window {
            Window::Day | Window::Month => number_of(window, then) == self.at,
            Window::Open | Window::Minute => true,
        };
        if is_current {
            let more = scaled(limit, actual.saturating_sub(taken));
            let less = scaled(limit, taken.saturating_sub(actual));
            self.taken = self.taken.saturating_add(more).saturating_sub(less);
        }
    }

    /// Returns the number of milliseconds until the limit is fully available again, if no call
    /// reserves anything in the meantime.
    pub(super) fn whole_in(self, limit: &Limit, now: u64) -> u64 {
        let level = self.now(limit, now);
        match limit.kind.window() {
            Window::Open => 0,
            Window::Minute => level.taken.div_ceil(limit.most),
            window => end_of(window, now).saturating_sub(now),
        }
    }
}

fn scaled(limit: &Limit, amount: u64) -> u64 {
    match limit.kind.window() {
        Window::Minute => amount.saturating_mul(MINUTE),
        _ => amount,
    }
}
