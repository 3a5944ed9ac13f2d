//! The circuit breaker of a route.
//!
//! ```text
//!           5 failures in a row, or half of
//!           10 or more calls in about 10 s               its time is over
//!   Closed ─────────────────────────────────> Open ─────────────────────> Half-open
//!     ^                                         ^                            │  │
//!     │                                         └───── the probe fails ──────┘  │
//!     └─────────────────────────── the probe is answered ───────────────────────┘
//! ```
//!
//! A half-open breaker allows one call at a time, the probe. After a successful probe, a single
//! failure opens the breaker again, until a call has been answered completely. The breaker stays
//! open for one second at first, then twice as long each time, up to 30 s. If Bedrock sends a retry
//! delay with a failure, that failure opens the breaker for the delay.

use std::time::Duration;

use tokio::time::Instant;

use super::jitter::jittered;

/// The number of consecutive failures that opens the breaker.
const IN_A_ROW: u32 = 5;
/// The share of failures that opens the breaker, and the minimum number of calls for which the
/// share is calculated.
const FEWEST: f64 = 10.0;
const SHARE: f64 = 0.5;
/// The time constant of the weights. A call that is this old has about a third of its weight.
const MEMORY: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// The maximum retry delay from Bedrock that the breaker uses.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls are allowed.
    Closed,
    /// The route is skipped.
    Open,
    /// One probe at a time is allowed.
    HalfOpen,
}

#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// When the breaker becomes half-open. `None` if it is closed.
    open_until: Option<Instant>,
    /// Whether a probe is running.
    probing: bool,
    /// The number of failures since the last complete answer.
    in_a_row: u32,
    /// The number of times that the breaker has opened since the last complete answer.
    times_opened: u32,
    /// The weighted numbers of calls and failures, as of the time `weighed`.
    calls: f64,
    failures: f64,
    weighed: Option<Instant>,
}

impl Breaker {
    /// Returns the state.
    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.open_until {
            None => BreakerState::Closed,
            Some(until) if now < until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Returns the time until which calls skip the route. `None` if the route can be called now.
    pub(super) fn skipped_until(&self, now: Instant) -> Option<Instant> {
        let until = self.open_until?;
        if now < until {
            Some(until)
        } else if self.probing {
            // A probe is running, and it is not known when it will end.
            Some(now + SHORTEST)
        } else {
            None
        }
    }

    /// Records that a call begins. Returns whether it is a probe.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        self.weigh(now);
        self.calls += 1.0;
        let probe = !self.probing && self.open_until.is_some_and(|until| now >= until);
        self.probing |= probe;
        probe
    }

    /// Records that the probe was answered.
    pub(super) fn probe_answered(&mut self) {
        self.probing = false;
        self.open_until = None;
        self.in_a_row = IN_A_ROW - 1;
        (self.calls, self.failures) = (0.0, 0.0);
    }

    /// Records that the probe ended without an outcome, for example because the client cancelled.
    pub(super) fn probe_gone(&mut self) {
        self.probing = false;
    }

    /// Records a complete answer.
    pub(super) fn succeeded(&mut self) {
        // If the breaker is open, the call began before that, so its answer does not show the
        // current state of the route.
        if self.open_until.is_none() {
            self.in_a_row = 0;
            self.times_opened = 0;
        }
    }

    /// Records a failure. `asked` is the retry delay that Bedrock sent, if any.
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
        // If a call began before the breaker opened, its failure does not extend the open time.
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
