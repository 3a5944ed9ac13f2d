//! A store that holds the counts in this process.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    decision,
    kind::{Amounts, LimitKind},
    level::Level,
    refusal::Refusal,
    store::{Granted, Reservation, Scopes, Standing, Standings, Step, Store, StoreUnavailable},
};

/// A clock, which returns the time in milliseconds since 1970.
type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;
/// The counts of one scope, in the order of [`LimitKind::ALL`].
type Levels = [Level; LimitKind::ALL.len()];

/// A store that holds the counts in this process. It is exact for a single replica. The counts are
/// lost when the process ends.
#[derive(Clone)]
pub struct InProcess {
    clock: Clock,
    /// The counts of all scopes, by the numbers of the scopes. A single lock protects them: a step
    /// takes only a few dozen instructions, and needs all scopes of a call at once.
    levels: Arc<Mutex<Vec<Levels>>>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

impl Default for InProcess {
    fn default() -> Self {
        Self::with_clock(Arc::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.map_or(0, |since| since.as_millis() as u64)
        }))
    }
}

impl InProcess {
    /// Creates a store with this clock.
    pub fn with_clock(clock: Clock) -> Self {
        Self {
            clock,
            levels: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Levels>> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the count of a limit.
fn level(levels: &mut Vec<Levels>, scope: usize, kind: LimitKind) -> &mut Level {
    if levels.len() <= scope {
        levels.resize(scope + 1, Levels::default());
    }
    &mut levels[scope][kind as usize]
}

impl Store for InProcess {
    fn reserve(&self, mut reservation: Reservation) -> Step<Result<Granted, Refusal>> {
        let now = (self.clock)();
        let mut levels = self.lock();
        let refusal = decision::refusal(&reservation, now, |scope, limit| {
            *level(&mut levels, scope.number, limit.kind)
        });
        if let Some(refusal) = refusal {
            return Step::Done(Err(refusal));
        }
        for scope in reservation.scopes.iter() {
            for limit in &scope.limits {
                let amount = limit.kind.of(&reservation.amounts);
                level(&mut levels, scope.number, limit.kind).take(limit, amount, now);
            }
        }
        reservation.at = now;
        let standings = decision::standings(&reservation.scopes, now, |scope, limit| {
            *level(&mut levels, scope.number, limit.kind)
        });
        Step::Done(Ok(Granted {
            reservation,
            standings,
        }))
    }

    fn settle(&self, reservation: Reservation, used: Amounts) -> Option<Standings> {
        let now = (self.clock)();
        let mut levels = self.lock();
        for scope in reservation.scopes.iter() {
            for limit in &scope.limits {
                let reserved = limit.kind.of(&reservation.amounts);
                let used = match limit.kind {
                    LimitKind::OpenStreams => 0,
                    kind => kind.of(&used),
                };
                level(&mut levels, scope.number, limit.kind).correct(
                    limit,
                    reserved,
                    used,
                    reservation.at,
                    now,
                );
            }
        }
        let standings = decision::standings(&reservation.scopes, now, |scope, limit| {
            *level(&mut levels, scope.number, limit.kind)
        });
        Some(standings)
    }

    fn standings(&self, scopes: Scopes) -> Step<Result<Vec<Standing>, StoreUnavailable>> {
        let now = (self.clock)();
        let mut levels = self.lock();
        let all = decision::each(&scopes, now, |scope, limit| {
            *level(&mut levels, scope.number, limit.kind)
        });
        Step::Done(Ok(all))
    }
}
