//! Leaves a route alone that fails.
//!
//! ```text
//!            5 failures in a row, or half of 10 and more within some 10 s
//!   Closed ────────────────────────────────────────────────────────────> Open ──its time is over──> Half-open
//!     ^                                                                   ^                          │  │
//!     └───────────────────────────── the probe is answered ───────────────┼──────────────────────────┘  │
//!                                                                         └──────── the probe fails ────┘
//! ```
//!
//! Half-open lets one call through at a time. Whoever closes it so is on probation: one failure more opens it again, until a whole answer came.
//! It stays open for a second, and twice as long each time, up to half a minute. If Bedrock itself says how long to stay away, one failure is enough,
//! and it stays open for so long.

use std::time::Duration;

use tokio::time::Instant;

use super::jitter::jittered;

/// Failures in a row that open it.
const IN_A_ROW: u32 = 5;
/// Calls that a share is made of, and the share of failures that opens it.
const FEWEST: f64 = 10.0;
const SHARE: f64 = 0.5;
/// Calls count less and less: after this time a third.
const MEMORY: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// The longest that Bedrock's word is taken for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// What a route's failures made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go there.
    Closed,
    /// None does.
    Open,
    /// One call at a time tries it out.
    HalfOpen,
}

#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Set while it is open or half-open: the end of its time.
    open_until: Option<Instant>,
    /// A call that tries the route out is under way.
    probing: bool,
    /// Failures since the last whole answer.
    in_a_row: u32,
    /// How often it opened since the last whole answer.
    times_opened: u32,
    /// Calls and failures, counting less as they get older.
    calls: f64,
    failures: f64,
    weighed: Option<Instant>,
}

impl Breaker {
    /// Which state it is in.
    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.open_until {
            None => BreakerState::Closed,
            Some(until) if now < until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Until when no call should come. `None`: one may come now.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        let until = self.open_until?;
        if now < until {
            Some(until)
        } else if self.probing {
            // Nobody knows when the probe ends; it is worth another look soon.
            Some(now + SHORTEST)
        } else {
            None
        }
    }

    /// A call begins; says whether it is a probe.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        self.weigh(now);
        self.calls += 1.0;
        let probe = !self.probing && self.open_until.is_some_and(|until| now >= until);
        self.probing |= probe;
        probe
    }

    /// The probe is answered.
    pub(super) fn probe_answered(&mut self) {
        self.probing = false;
        self.open_until = None;
        self.in_a_row = IN_A_ROW - 1;
        (self.calls, self.failures) = (0.0, 0.0);
    }

    /// The probe was given up.
    pub(super) fn probe_gone(&mut self) {
        self.probing = false;
    }

    /// A whole answer.
    pub(super) fn succeeded(&mut self) {
        // One that began before the trouble says nothing of the route as it is now.
        if self.open_until.is_none() {
            self.in_a_row = 0;
            self.times_opened = 0;
        }
    }

    /// A failure, with which Bedrock asked for so much time if it did ask.
    pub(super) fn failed(&mut self, now: Instant, asked: Option<Duration>, random: f64) {
        self.weigh(now);
        self.failures += 1.0;
        self.in_a_row = self.in_a_row.saturating_add(1);
        let half_open = self.open_until.is_some_and(|until| now >= until);
        let worse = self.in_a_row >= IN_A_ROW
            || (self.calls >= FEWEST && self.failures >= self.calls * SHARE);
        if let Some(asked) = asked.filter(|asked| !asked.is_zero()) {
            let until = now + asked.min(LONGEST_ASKED);
            self.open_until = Some(self.open_until.map_or(until, |known| known.max(until)));
            self.probing = false;
            return;
        }
        // Failures of calls that began before it opened don't make it stay open for longer.
        if half_open || (self.open_until.is_none() && worse) {
            let doubled = SHORTEST.saturating_mul(1 << self.times_opened.min(10));
            self.open_until = Some(now + jittered(doubled.min(LONGEST), random));
            self.times_opened = self.times_opened.saturating_add(1);
            self.probing = false;
        }
    }

    fn weigh(&mut self, now: Instant) {
        let age = self
            .weighed
            .map_or(Duration::ZERO, |then| now.saturating_duration_since(then));
        let factor = (-age.as_secs_f64() / MEMORY.as_secs_f64()).exp();
        self.calls *= factor;
        self.failures *= factor;
        self.weighed = Some(now);
    }
}
