//! A sliding minute: what was taken within the last sixty seconds.
//!
//! A token bucket would be shorter, but lets a burst and the refill behind it take nearly twice the quota within a minute, and a correction
//! of an old reservation can no more be told from new use. Here each call is an entry: it is corrected where it stands and
//! leaves sixty seconds after its call began, so that no minute ever holds more than the quota.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The calls that began within the last minute, and what they took.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// In the order of their times and numbers.
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
    /// Forgets what is older than a minute, which takes so long.
    pub(super) fn slide(&mut self, now: Instant, minute: Duration) {
        while let Some(first) = self.entries.front() {
            if now.saturating_duration_since(first.at) < minute {
                break;
            }
            self.tokens = self.tokens.saturating_sub(first.tokens);
            self.entries.pop_front();
        }
    }

    /// Calls since the last slide's minute began.
    pub(super) fn requests(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Tokens that they took.
    pub(super) const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Enters a call, and gives its number.
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

    /// Corrects what a call took, unless its minute has passed.
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
