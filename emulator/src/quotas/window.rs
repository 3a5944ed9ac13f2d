//! Implements a sliding window: the usage within the last minute.
//!
//! A token bucket would need less code. But it allows nearly twice the quota within a minute (a
//! burst, and then the refill), and it cannot distinguish the correction of an old reservation from
//! new usage. In the window, each call has an entry. The entry is corrected in place, and removed a
//! minute after the call began. So the usage of any minute stays within the quota.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The calls that began within the last minute, and their usage.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The entries, in the order of their times and numbers.
    entries: VecDeque<Entry>,
    tokens: u64,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    at: Instant,
    tokens: u64,
}

impl Window {
    /// Removes entries that are older than a minute of this length.
    pub(super) fn slide(&mut self, now: Instant, minute: Duration) {
        while let Some(first) = self.entries.front() {
            if now.saturating_duration_since(first.at) < minute {
                break;
            }
            self.tokens = self.tokens.saturating_sub(first.tokens);
            self.entries.pop_front();
        }
    }

    /// Returns the number of calls that began within the last minute.
    pub(super) fn requests(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Returns the number of tokens that calls within the last minute used.
    pub(super) const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Adds a call, and returns its number.
    pub(super) fn enter(&mut self, now: Instant, tokens: u64) -> u64 {
        self.last += 1;
        self.tokens += tokens;
        self.entries.push_back(Entry {
            number: self.last,
            at: now,
            tokens,
        });
        self.last
    }

    /// Corrects the usage of a call. Does nothing if the call began more than a minute ago.
    pub(super) fn settle(&mut self, number: u64, tokens: u64) {
        if let Ok(index) = self
            .entries
            .binary_search_by_key(&number, |entry| entry.number)
            && let Some(entry) = self.entries.get_mut(index)
        {
            self.tokens = self.tokens.saturating_sub(entry.tokens) + tokens;
            entry.tokens = tokens;
        }
    }
}
