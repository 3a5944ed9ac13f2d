//! A simple model of the store of limits, which shares no code with the gateway. It replays the log
//! of decisions of a store.

use std::collections::{BTreeMap, HashMap};

use crate::harness::RedisServer;

const MINUTE: i128 = 60_000;
const DAY: i128 = 86_400_000;

/// The numbers of limits.
pub(super) const OPEN_STREAMS: usize = 0;
pub(super) const TOKENS_PER_MONTH: usize = 6;
pub(super) const USD_PER_MONTH: usize = 8;

/// Requests, input, output and money of a call.
type Amounts = [i128; 4];

/// What a limit has counted, and up to when, or in which day or month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    taken: i128,
    at: i128,
}

/// A limit of a caller, a group or a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    scope: String,
    kind: usize,
}

/// A reservation that is not settled yet.
#[derive(Clone, Debug)]
struct Open {
    at: i128,
    amounts: Amounts,
    limits: Vec<(Place, i128)>,
    lapsed: bool,
}

/// What a line of the log was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Granted,
    Refused,
    Settled,
    Lapsed,
}

/// Counts, open reservations, and the time of the last decision.
#[derive(Clone, Default)]
pub(super) struct Model {
    counts: BTreeMap<Place, (Count, i128)>,
    open: HashMap<String, Open>,
    now: i128,
}

/// The number of the month that a day since 1970 belongs to: twelve times the year, plus 1 to 12.
fn month_of(day: i128) -> i128 {
    let (mut left, mut year) = (day, 1970);
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if leap { 29 } else { 28 };
        for (month, days) in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            .into_iter()
            .enumerate()
        {
            if left < days {
                return year * 12 + month as i128 + 1;
            }
            left -= days;
        }
        year += 1;
    }
}

/// The number of the day or the month, for limits that begin anew with it.
fn window(kind: usize, time: i128) -> Option<i128> {
    match kind {
        5 | 7 => Some(time / DAY),
        6 | 8 => Some(month_of(time / DAY)),
        _ => None,
    }
}

/// What a call takes of a kind of limit.
fn amount(kind: usize, [requests, input, output, money]: Amounts) -> i128 {
    match kind {
        0 => 1,
        1 => requests * MINUTE,
        2 => (input + output) * MINUTE,
        3 => input * MINUTE,
        4 => output * MINUTE,
        5 | 6 => input + output,
        _ => money,
    }
}

/// The most that a limit can hold, in the unit in which it is counted.
fn full(kind: usize, most: i128) -> i128 {
    if matches!(kind, 1..=4) {
        most * MINUTE
    } else {
        most
    }
}

impl Count {
    /// The count at this time, after refills, or after the end of a day or a month.
    fn advanced(self, kind: usize, most: i128, now: i128) -> Self {
        match window(kind, now) {
            Some(number) if number > self.at => Self {
                taken: 0,
                at: number,
            },
            None if matches!(kind, 1..=4) => Self {
                taken: (self.taken - (now - self.at).max(0) * most).max(0),
                at: self.at.max(now),
            },
            _ => self,
        }
    }
}

/// The limits of a logged step: `kind:most,kind:most;kind:most`, and the names of their scopes.
fn limits_of(limits: &str, names: &str) -> Vec<(Place, i128)> {
    let scopes = limits.split(';').zip(names.split(';'));
    let of_scope = |(limits, name): (&str, &str)| -> Vec<_> {
        let limit = |text: &str| {
            let (kind, most) = text.split_once(':').unwrap();
            let place = Place {
                scope: name.to_owned(),
                kind: kind.parse().unwrap(),
            };
            (place, most.parse().unwrap())
        };
        limits.split(',').map(limit).collect()
    };
    scopes.flat_map(of_scope).collect()
}

fn number(text: &str) -> i128 {
    text.parse().unwrap()
}

impl Model {
    fn count(&self, place: &Place, most: i128, now: i128) -> Count {
        let count = self.counts.get(place).map(|(count, _)| *count);
        count.unwrap_or_default().advanced(place.kind, most, now)
    }

    fn take(&mut self, place: &Place, most: i128, now: i128, taken: impl FnOnce(Count) -> i128) {
        let count = self.count(place, most, now);
        let taken = taken(count);
        self.counts
            .insert(place.clone(), (Count { taken, ..count }, most));
    }

    /// Replays a line of the log, and checks its verdict.
    pub(super) fn replay(&mut self, line: &str) -> Decision {
        let words: Vec<&str> = line.split_whitespace().collect();
        let start = words.iter().position(|word| *word == "limits").unwrap();
        let words = &words[start + 1..];
        self.now = self.now.max(number(words[2]));
        match words[0] {
            "reserve" => self.reserve(words, line),
            "settle" => self.settle(words, line),
            "lapse" => self.lapse(words, line),
            _ => panic!("{line}"),
        }
    }

    fn reserve(&mut self, words: &[&str], line: &str) -> Decision {
        let &[
            _,
            id,
            now,
            verdict,
            requests,
            input,
            output,
            money,
            limits,
            names,
        ] = words
        else {
            panic!("{line}");
        };
        let now = number(now);
        let amounts = [requests, input, output, money].map(number);
        let limits = limits_of(limits, names);
        let fits = limits.iter().all(|(place, most)| {
            let taken = self.count(place, *most, now).taken;
            taken + amount(place.kind, amounts) <= full(place.kind, *most)
        });
        assert_eq!(fits, verdict == "granted", "{line}");
        if !fits {
            return Decision::Refused;
        }
        for (place, most) in &limits {
            self.take(place, *most, now, |count| {
                count.taken + amount(place.kind, amounts)
            });
        }
        let open = Open {
            at: now,
            amounts,
            limits,
            lapsed: false,
        };
        let before = self.open.insert(id.to_owned(), open);
        assert!(before.is_none(), "{line}");
        Decision::Granted
    }

    fn settle(&mut self, words: &[&str], line: &str) -> Decision {
        let &[
            _,
            id,
            now,
            state,
            requests,
            input,
            output,
            money,
            limits,
            names,
            began,
            _,
        ] = words
        else {
            panic!("{line}");
        };
        let now = number(now);
        let used = [requests, input, output, money].map(number);
        let open = self.open.remove(id);
        let expected = match &open {
            None => "unknown",
            Some(open) if open.lapsed => "lapsed",
            Some(_) => "open",
        };
        assert_eq!(state, expected, "{line}");
        let began = open.as_ref().map_or(number(began), |open| open.at);
        for (place, most) in limits_of(limits, names) {
            let kind = place.kind;
            let change = match (&open, kind) {
                (Some(open), OPEN_STREAMS) if !open.lapsed => -1,
                (_, OPEN_STREAMS) => continue,
                (Some(open), _) => amount(kind, used) - amount(kind, open.amounts),
                (None, _) => amount(kind, used),
            };
            let is_over = window(kind, began) != window(kind, now);
            self.take(&place, most, now, |count| {
                let change = if is_over { 0 } else { change };
                (count.taken + change).max(0)
            });
        }
        Decision::Settled
    }

    fn lapse(&mut self, words: &[&str], line: &str) -> Decision {
        let &[_, id, now, _] = words else {
            panic!("{line}");
        };
        let open = self.open.get_mut(id).unwrap_or_else(|| panic!("{line}"));
        assert!(!std::mem::replace(&mut open.lapsed, true), "{line}");
        for (place, most) in open.limits.clone() {
            if place.kind == OPEN_STREAMS {
                self.take(&place, most, number(now), |count| count.taken - 1);
            }
        }
        Decision::Lapsed
    }

    /// The number of reservations that are neither settled nor lapsed, and of those that lapsed.
    pub(super) fn unsettled(&self) -> (usize, usize) {
        let lapsed = self.open.values().filter(|open| open.lapsed).count();
        (self.open.len() - lapsed, lapsed)
    }

    /// What has been taken of a limit of this month, or of open streams.
    pub(super) fn taken(&self, scope: &str, kind: usize) -> i128 {
        let scope = scope.to_owned();
        let count = self.counts.get(&Place { scope, kind });
        count.map_or(0, |(count, _)| count.taken)
    }

    /// Whether a store has exactly these counts and these open reservations.
    pub(super) fn compare(&self, stored: &Stored) -> Result<(), String> {
        for (place, (count, most)) in &self.counts {
            let found = stored.counts.get(place).copied().unwrap_or_default();
            let at_end = |count: Count| count.advanced(place.kind, *most, self.now);
            if at_end(found) != at_end(*count) {
                return Err(format!("{place:?}: {found:?} instead of {count:?}"));
            }
        }
        let mut open: Vec<&String> = self.open.keys().collect();
        open.sort();
        if open != stored.open.iter().collect::<Vec<_>>() {
            return Err(format!("open: {:?} instead of {open:?}", stored.open));
        }
        Ok(())
    }
}

/// What a store has counted.
#[derive(Debug, Default)]
pub(super) struct Stored {
    counts: HashMap<Place, Count>,
    /// The IDs of reservations that are not settled, in order.
    open: Vec<String>,
}

impl Stored {
    pub(super) async fn of(redis: &RedisServer) -> Self {
        let mut stored = Self::default();
        for key in redis.ask::<Vec<String>>("KEYS {bedrock-grpc}:*").await {
            let name = key.split_once("}:").unwrap().1;
            if name == "leases" || name.starts_with("void:") {
                continue;
            }
            let fields: HashMap<String, String> = redis.ask(&format!("HGETALL {key}")).await;
            for (field, value) in fields {
                if name.starts_with("open:") {
                    stored.open.extend((field != "settled").then_some(field));
                } else {
                    let (taken, at) = value.split_once(' ').unwrap();
                    let place = Place {
                        scope: name.to_owned(),
                        kind: field.parse().unwrap(),
                    };
                    let (taken, at) = (number(taken), number(at));
                    stored.counts.insert(place, Count { taken, at });
                }
            }
        }
        stored.open.sort();
        stored
    }
}

#[test]
fn months_are_those_of_the_calendar() {
    for (day, expected) in [
        (0, 1970 * 12 + 1),
        (30, 1970 * 12 + 1),
        (31, 1970 * 12 + 2),
        (11_016, 2000 * 12 + 2), // 2000-02-29
        (11_017, 2000 * 12 + 3),
        (20_783, 2026 * 12 + 11), // 2026-11-26
    ] {
        assert_eq!(month_of(day), expected, "{day}");
    }
}
