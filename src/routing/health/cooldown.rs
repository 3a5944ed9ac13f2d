//! Implements the cooldown of a route that Bedrock throttles.
//!
//! The route is skipped for the delay that Bedrock asks for. Without such a delay, it is skipped
//! for the time in which it usually answers [`ENOUGH`] calls, based on about the last minute.
//! Quotas refill continuously: after too short a cooldown, calls are throttled again. Too long a
//! cooldown leaves quota unused. With this rule, at most about one call in twelve is throttled, for
//! any quota.

use std::time::Duration;

use tokio::time::Instant;

use super::jitter::jittered;

/// The number of answered calls for each throttled call.
const ENOUGH: f64 = 12.0;
/// The time constant of the weights. An answer that is this old has about a third of its weight.
const MEMORY: Duration = Duration::from_secs(60);
/// The first cooldown of a route without recent answers. Each further cooldown is twice as long.
const FIRST: Duration = Duration::from_millis(250);
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(10);
/// The cooldown after a daily quota is used up.
const USED_UP: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) struct Cooldown {
    until: Option<Instant>,
    /// The length of the next cooldown, if no call is answered before it.
    length: Duration,
    /// The weighted number of answers, as of the time `weighed`.
    answers: f64,
    weighed: Option<Instant>,
    /// When the first answer was counted.
    since: Option<Instant>,
}

impl Default for Cooldown {
    fn default() -> Self {
        Self {
            until: None,
            length: FIRST,
            answers: 0.0,
            weighed: None,
            since: None,
        }
    }
}

impl Cooldown {
    /// Returns the end of the cooldown. `None` if the route is not cooling down.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    /// Records that a call was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.weigh(now);
        self.since.get_or_insert(now);
        self.answers += 1.0;
        self.length = FIRST;
    }

    /// Records that Bedrock throttled a call. `asked` is the retry delay that Bedrock sent, if any.
    pub(super) fn throttled(
        &mut self,
        now: Instant,
        asked: Option<Duration>,
        used_up: bool,
        random: f64,
    ) {
        if let Some(asked) = asked {
            let until = now + asked.min(USED_UP);
            self.until = Some(self.until.map_or(until, |known| known.max(until)));
            return;
        }
        // The throttled call began before the current cooldown, so it does not extend it.
        if self.until(now).is_some() {
            return;
        }
        let length = if used_up { USED_UP } else { self.length(now) };
        self.until = Some(now + jittered(length, random));
    }

    fn length(&mut self, now: Instant) -> Duration {
        self.weigh(now);
        match self.answers_per_second(now) {
            Some(rate) => Duration::from_secs_f64(ENOUGH / rate).clamp(SHORTEST, LONGEST),
            None => {
                let length = self.length;
                self.length = length.saturating_mul(2).min(LONGEST);
                length
            }
        }
    }

    /// Returns the rate of answers. `None` if there are no recent answers.
    fn answers_per_second(&self, now: Instant) -> Option<f64> {
        let memory = MEMORY.as_secs_f64();
        let age = now.saturating_duration_since(self.since?).as_secs_f64();
        // If counting began recently, the answers cover only a part of the time constant.
        let seen = memory * (1.0 - (-age / memory).exp());
        (self.answers >= 1.0).then(|| self.answers / seen.max(0.1))
    }

    fn weigh(&mut self, now: Instant) {
        if let Some(then) = self.weighed {
            let age = now.saturating_duration_since(then).as_secs_f64();
            self.answers *= (-age / MEMORY.as_secs_f64()).exp();
        }
        self.weighed = Some(now);
    }
}
