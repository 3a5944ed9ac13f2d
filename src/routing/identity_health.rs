//! Tracks which AWS identities fail: AWS rejects their credentials, or denies them access to a
//! model. Other identities can still call the same routes, so this does not affect the routes'
//! health.
//!
//! Only calls with routes in several accounts use this, because skipping an identity helps only if
//! there is another one.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::error::{Failure, Reason};

/// How long a failed identity is skipped at first. The time doubles with each further failure.
const FIRST_SKIP: Duration = Duration::from_secs(1);
const LONGEST_SKIP: Duration = Duration::from_secs(30);
/// The maximum number of failed identities that are tracked per account. Callers can have separate
/// identities, so their number is unlimited.
const MOST_FAILED: usize = 1_024;

/// Why an identity fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdentityFault {
    /// AWS rejects its credentials, so it can make no call.
    Credentials,
    /// It may not call this model, but it may be able to call others.
    Access,
}

impl IdentityFault {
    /// Returns why the identity failed. `None` if the identity is not the cause.
    pub(super) fn of(failure: &Failure) -> Option<Self> {
        match failure.reason {
            Reason::UpstreamCredentials | Reason::CredentialsUnavailable => Some(Self::Credentials),
            Reason::UpstreamAccessDenied => Some(Self::Access),
            _ => None,
        }
    }
}

/// The failing identities of one account, by the caller that owns them. The identity that callers
/// share has no owner.
#[derive(Debug, Default)]
pub struct IdentityHealth {
    failed: Mutex<HashMap<Option<String>, Skip>>,
    /// Whether any identity fails. If none does, calls do not lock `failed`.
    any: AtomicBool,
}

#[derive(Debug)]
struct Skip {
    until: Instant,
    pause: Duration,
    /// Whether an attempt is testing the identity.
    probing: bool,
}

impl IdentityHealth {
    /// Returns the time until which an identity is skipped. `None` if it is not skipped.
    pub fn skipped_until(&self, owner: Option<&str>, now: Instant) -> Option<Instant> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let failed = self.lock();
        let until = failed.get(&owner.map(str::to_owned))?.until;
        (until > now).then_some(until)
    }

    /// Begins an attempt. Returns whether it is allowed. When the skip of a failed identity is
    /// over, the identity may make one attempt at a time.
    pub(super) fn begin(&self, owner: Option<&str>, now: Instant) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return true;
        }
        match self.lock().get_mut(&owner.map(str::to_owned)) {
            Some(skip) if skip.until > now => false,
            Some(skip) => {
                // Other calls skip the identity until this attempt has an outcome, at most for the
                // same time again.
                skip.until = now + skip.pause;
                skip.probing = true;
                true
            }
            None => true,
        }
    }

    /// Records that an identity has failed.
    pub(super) fn failed(&self, owner: Option<&str>, failure: &Failure, now: Instant) {
        let mut failed = self.lock();
        if failed.len() >= MOST_FAILED {
            failed.retain(|_, skip| skip.until > now);
            if failed.len() >= MOST_FAILED {
                failed.clear();
            }
        }
        let skip = failed.entry(owner.map(str::to_owned)).or_insert(Skip {
            until: now,
            pause: Duration::ZERO,
            probing: true,
        });
        // Several calls may have begun before the identity was skipped. Only one of their failures
        // counts.
        if !std::mem::take(&mut skip.probing) {
            return;
        }
        skip.pause = (skip.pause * 2).clamp(FIRST_SKIP, LONGEST_SKIP);
        let asked = failure.retry_after.unwrap_or_default().min(LONGEST_SKIP);
        skip.until = now + skip.pause.max(asked);
        self.any.store(true, Ordering::Release);
    }

    /// Records that Bedrock has answered a call of an identity.
    pub(super) fn succeeded(&self, owner: Option<&str>) {
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut failed = self.lock();
        failed.remove(&owner.map(str::to_owned));
        self.any.store(!failed.is_empty(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<String>, Skip>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> Failure {
        Failure::new(Reason::UpstreamAccessDenied, "no")
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_identity_is_probed_by_one_attempt_at_a_time() {
        let health = IdentityHealth::default();
        let now = Instant::now();
        assert!(health.begin(None, now));
        for _ in 0..5 {
            health.failed(None, &denied(), now);
        }
        assert_eq!(health.skipped_until(None, now), Some(now + FIRST_SKIP));
        assert!(!health.begin(None, now));
        assert_eq!(health.skipped_until(Some("search"), now), None);
        assert!(health.begin(Some("search"), now));

        let later = now + FIRST_SKIP;
        assert_eq!(health.skipped_until(None, later), None);
        assert!(health.begin(None, later), "the probe");
        assert!(!health.begin(None, later), "beside the probe");
        health.failed(None, &denied(), later);
        assert_eq!(
            health.skipped_until(None, later),
            Some(later + 2 * FIRST_SKIP)
        );

        let recovered = later + 2 * FIRST_SKIP;
        assert!(health.begin(None, recovered));
        health.succeeded(None);
        assert!(health.begin(None, recovered));
    }

    #[tokio::test(start_paused = true)]
    async fn skips_grow_to_a_limit_and_heed_what_the_failure_asks_for() {
        let health = IdentityHealth::default();
        let mut now = Instant::now();
        let asking = denied().with_retry_after(Duration::from_secs(7));
        health.failed(None, &asking, now);
        assert_eq!(
            health.skipped_until(None, now),
            Some(now + Duration::from_secs(7))
        );
        for _ in 0..10 {
            now = health.skipped_until(None, now).expect("it is skipped");
            assert!(health.begin(None, now));
            health.failed(None, &denied(), now);
        }
        assert_eq!(health.skipped_until(None, now), Some(now + LONGEST_SKIP));
    }

    #[tokio::test(start_paused = true)]
    async fn callers_cannot_fill_the_memory() {
        let health = IdentityHealth::default();
        let now = Instant::now();
        for caller in 0..3 * MOST_FAILED {
            health.failed(Some(&caller.to_string()), &denied(), now);
        }
        assert!(health.lock().len() <= MOST_FAILED);
    }
}
