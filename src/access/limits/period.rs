//! The days and months of limits, in UTC: which one contains a time, and when it ends.

use super::kind::Window;

/// The number of milliseconds in a day.
pub(super) const DAY: u64 = 24 * 60 * 60_000;

/// Returns the number of the day or month that contains a time. Later periods have higher numbers.
pub(super) fn number_of(window: Window, now: u64) -> u64 {
    match window {
        Window::Month => {
            let (year, month) = month_of(now / DAY);
            year * 12 + month
        }
        _ => now / DAY,
    }
}

/// Returns the end of the day or month that contains a time.
pub(super) fn end_of(window: Window, now: u64) -> u64 {
    let day = now / DAY;
    match window {
        Window::Month => {
            let (year, month) = month_of(day);
            let (year, month) = if month == 12 {
                (year + 1, 1)
            } else {
                (year, month + 1)
            };
            first_day_of(year, month) * DAY
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

/// Returns the first day of a month, as a number that counts from 1970-01-01. This is the inverse
/// of [`month_of`], Howard Hinnant's `days_from_civil`.
fn first_day_of(year: u64, month: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let era = year / 400;
    let year_of_era = year % 400;
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
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
