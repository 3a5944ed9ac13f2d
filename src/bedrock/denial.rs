//! Decides when a session is replaced because Bedrock denies access to it. Bedrock also denies
//! access to sessions that were revoked, and a new session can then make the call.

use std::time::Duration;

use tokio::time::Instant;

/// The minimum age of a session that is replaced. If Bedrock denies access to the new session, too,
/// the minimum time until the next replacement doubles: the role probably lacks a permission.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// When a session may be replaced again because Bedrock denies access.
#[derive(Clone, Copy, Debug)]
pub(super) struct Denied {
    until: Instant,
    pause: Duration,
}

impl Denied {
    /// Returns the state after another replacement. `None` if it is too early for one.
    pub(super) fn next(last: Option<Self>, now: Instant) -> Option<Self> {
        let pause = match last {
            Some(last) if now < last.until => return None,
            Some(last) if now < last.until + LONGEST_PAUSE => last.pause * 2,
            _ => Duration::ZERO,
        };
        let pause = pause.clamp(FIRST_PAUSE, LONGEST_PAUSE);
        Some(Self {
            until: now + pause,
            pause,
        })
    }

    /// Returns the state after STS has refused a new session. The pause does not double: a failed
    /// identity is skipped for at least as long, and the probe that follows can get a new session.
    pub(super) fn refused(now: Instant) -> Self {
        Self {
            until: now + FIRST_PAUSE,
            pause: Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pause_doubles_while_new_sessions_are_denied_too() {
        let mut now = Instant::now();
        let mut last = None;
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let next = Denied::next(last, now).expect("the pause is over");
            assert_eq!(next.until, now + Duration::from_secs(seconds));
            assert!(Denied::next(Some(next), now).is_none());
            (now, last) = (next.until, Some(next));
        }
        let later = now + LONGEST_PAUSE;
        let next = Denied::next(last, later).expect("the pause is over");
        assert_eq!(next.until, later + FIRST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_role_is_assumed_again_by_the_next_probe() {
        let now = Instant::now();
        let last = Some(Denied::refused(now));
        let early = now + FIRST_PAUSE - Duration::from_millis(1);
        assert!(Denied::next(last, early).is_none());
        let next = Denied::next(last, now + FIRST_PAUSE).expect("the pause is over");
        assert_eq!(next.pause, FIRST_PAUSE);
    }
}
