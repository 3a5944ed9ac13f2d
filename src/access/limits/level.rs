//! The arithmetic of one count. It uses only integers, so that all stores compute the same results.
//!
//! | window | what is counted | when it becomes available again |
//! |---|---|---|
//! | open | open calls | when a call ends |
//! | minute | the used amount that is not refilled yet, times 60,000 | `limit` per millisecond |
//! | day, month | the amount used in the current period | when the next period begins |

use super::kind::{Limit, Window};

/// The number of milliseconds in a minute. Buckets count amounts multiplied by this number, so that
/// the refill of one millisecond is an integer.
const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

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

/// Returns the number of the day or month that contains a time. Later periods have higher numbers.
fn number_of(window: Window, now: u64) -> u64 {
    match window {
        Window::Month => {
            let (year, month) = month_of(now / DAY);
            year * 12 + month
        }
        _ => now / DAY,
    }
}

/// Returns the end of the day or month that contains a time.
fn end_of(window: Window, now: u64) -> u64 {
    let day = now / DAY;
    match window {
        Window::Month => {
            let this = month_of(day);
            let next = (1..=31).find(|days| month_of(day + days) != this);
            (day + next.unwrap_or(1)) * DAY
        }
        _ => (day + 1) * DAY,
    }
}

/// Returns the year and month of a day, whose number counts from 1970-01-01. This is Howard
/// Hinnant's algorithm `civil_from_days`: its years begin in March, so that a leap day is the last
/// day of a year.
fn month_of(day: u64) -> (u64, u64) {
    let day = day + 719_468;
    let era = day / 146_097;
    let day_of_era = day % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (era * 400 + year_of_era + u64::from(month <= 2), month)
}

#[cfg(test)]
mod tests {
    use time::{OffsetDateTime, Time};

    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        for day in 0..60_000_u64 {
            let date = OffsetDateTime::from_unix_timestamp((day * 86_400) as i64).unwrap();
            let expected = (date.year() as u64, u64::from(u8::from(date.month())));
            assert_eq!(month_of(day), expected, "{date}");
            if day % 97 == 0 {
                let first = date.replace_day(1).unwrap();
                let next = (first + time::Duration::days(32)).replace_day(1).unwrap();
                let end = next.replace_time(Time::MIDNIGHT).unix_timestamp() as u64 * 1_000;
                assert_eq!(end_of(Window::Month, day * DAY + 7), end, "{date}");
            }
        }
    }
}
