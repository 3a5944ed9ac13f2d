//! The arithmetic of one count. All of it is in integers, so that every store comes to the same
//! results.
//!
//! | window | what is counted | when it is given back |
//! |---|---|---|
//! | open | what is going on | with its end |
//! | minute | used and not refilled, times 60,000 | `limit` of it for each millisecond |
//! | day, month | what was taken in the current one | with the next one |

use super::kind::{Limit, Window};

/// Milliseconds of a minute: buckets count in amounts times this, so that what a millisecond
/// refills is a whole number.
const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// One count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// What is taken: of buckets times 60,000.
    taken: u64,
    /// Buckets: when that was so, in milliseconds since 1970. Days and months: which one it is of.
    at: u64,
}

impl Level {
    /// What the count is at this time. A clock that stepped back counts as standing still.
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

    /// How much of the limit is left.
    pub(super) fn left(self, limit: &Limit, now: u64) -> u64 {
        let taken = self.now(limit, now).taken;
        match limit.kind.window() {
            Window::Minute => (limit.most * MINUTE).saturating_sub(taken) / MINUTE,
            _ => limit.most.saturating_sub(taken),
        }
    }

    /// Whether so much more fits.
    ///
    /// # Errors
    /// It does not; in so many milliseconds it may. `None`: not in this month, or never, since it
    /// is more than the limit itself.
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
                    // What is too much now, and how long the refill takes over it. A clock that
                    // stepped back has to come back first.
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

    /// Takes so much.
    pub(super) fn take(&mut self, limit: &Limit, amount: u64, now: u64) {
        *self = self.now(limit, now);
        self.taken = self.taken.saturating_add(scaled(limit, amount));
    }

    /// Replaces what was taken at some time by what it turned out to be. What was taken in a day or
    /// a month that is over is over.
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

    /// In how many milliseconds the limit is whole again, if nothing else is taken.
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

/// The number of the day or the month that a time belongs to. Later ones have higher numbers.
fn number_of(window: Window, now: u64) -> u64 {
    match window {
        Window::Month => {
            let (year, month) = month_of(now / DAY);
            year * 12 + month
        }
        _ => now / DAY,
    }
}

/// When the day or the month of a time ends.
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

/// The year and the month of a day, counted from 1970-01-01. Howard Hinnant's algorithm
/// `civil_from_days`: years begin in March, so that the leap day is the last one.
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
