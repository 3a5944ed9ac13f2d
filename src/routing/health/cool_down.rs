//! Leaves a route alone that Bedrock throttles.
//!
//! For as long as Bedrock asks for, if it does. Else for as long as the route takes to answer [`ENOUGH`] calls, going by those of the last minute
//! or so: quotas refill all the time, so a pause that is too short makes calls that are refused again, and one that is too long leaves quota
//! unused. So about one call in twelve is refused at most, and little is left unused, whatever the quota is.

use std::time::Duration;

use tokio::time::Instant;

use super::jitter::jittered;

/// Calls that are answered for one that is refused.
const ENOUGH: f64 = 12.0;
/// Answers count less and less: after this time a third.
const MEMORY: Duration = Duration::from_secs(60);
/// For a route that has not answered lately; twice as long each time.
const FIRST: Duration = Duration::from_millis(250);
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(10);
/// A daily quota is used up: worth a look now and then.
const USED_UP: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) struct CoolDown {
    until: Option<Instant>,
    /// How long the next one takes if no call is answered before.
    length: Duration,
    /// Answers, counting less as they get older, as it was at that moment.
    answers: f64,
    weighed: Option<Instant>,
    /// When the counting began.
    since: Option<Instant>,
}

impl Default for CoolDown {
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

impl CoolDown {
    /// Until when no call should come. `None`: one may come now.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    /// A call was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.weigh(now);
        self.since.get_or_insert(now);
        self.answers += 1.0;
        self.length = FIRST;
    }

    /// Bedrock throttled a call, and asked for so much time if it did ask.
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
        // Calls that were under way when it began.
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

    /// `None`: no answer is recent enough to tell.
    fn answers_per_second(&self, now: Instant) -> Option<f64> {
        let memory = MEMORY.as_secs_f64();
        let age = now.saturating_duration_since(self.since?).as_secs_f64();
        // A count that has just begun has seen little of the time that it stands for.
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
