//! Leaves a route alone that Bedrock throttles.
//!
//! For as long as Bedrock asks for, if it does. Else the time is found by trying: quotas refill all the time, so a pause that is too short makes
//! calls that are refused again, and one that is too long leaves quota unused. It is doubled while fewer than [`FEW`] calls were answered
//! between two refusals, so that refusals stay below one in twenty, and halved once there were [`MANY`].

use std::time::Duration;

use tokio::time::Instant;

use super::jittered;

const FEW: u32 = 20;
const MANY: u32 = 60;
const FIRST: Duration = Duration::from_millis(250);
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(30);
/// A daily quota is used up: worth a look now and then.
const USED_UP: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(super) struct CoolDown {
    until: Option<Instant>,
    /// How long the next one takes.
    length: Duration,
    /// Answers since the last one began.
    answered: u32,
}

impl Default for CoolDown {
    fn default() -> Self {
        Self {
            until: None,
            length: FIRST,
            // The first refusal says nothing of the pause before it.
            answered: FEW,
        }
    }
}

impl CoolDown {
    /// Until when no call should come. `None`: one may come now.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }

    /// A call was answered.
    pub(super) fn answered(&mut self) {
        self.answered = self.answered.saturating_add(1);
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
        if used_up {
            self.until = Some(now + jittered(USED_UP, random));
            return;
        }
        if self.answered < FEW {
            self.length = self.length.saturating_mul(2).min(LONGEST);
        } else if self.answered >= MANY {
            self.length = (self.length / 2).max(SHORTEST);
        }
        self.answered = 0;
        self.until = Some(now + jittered(self.length, random));
    }
}
