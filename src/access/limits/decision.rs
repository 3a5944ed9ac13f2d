//! Decides by the counts of a store whether a call fits into its limits, and computes the remaining
//! amounts.

use super::{
    kind::Limit,
    level::Level,
    refusal::Refusal,
    scope::Scope,
    store::{Reservation, Scopes, Standing, Standings},
};

/// Returns the refusal of a call that exceeds a limit. If it exceeds several, returns the refusal
/// that applies longest.
pub(super) fn refusal(
    reservation: &Reservation,
    now: u64,
    mut level: impl FnMut(&Scope, &Limit) -> Level,
) -> Option<Refusal> {
    let mut refusal: Option<Refusal> = None;
    for scope in reservation.scopes.iter() {
        for limit in &scope.limits {
            let amount = limit.kind.of(&reservation.amounts);
            let level = level(scope, limit);
            if let Err(wait) = level.fits(limit, amount, now) {
                let other = Refusal::new(scope, *limit, amount, level.left(limit, now), wait);
                refusal = Some(match refusal {
                    Some(known) => known.or_longer(other),
                    None => other,
                });
            }
        }
    }
    refusal
}

/// Returns the state of the tightest limits that apply to a call.
pub(super) fn standings(
    scopes: &Scopes,
    now: u64,
    mut level: impl FnMut(&Scope, &Limit) -> Level,
) -> Standings {
    let mut all = Standings::default();
    for scope in scopes.iter() {
        for limit in &scope.limits {
            all.add(limit.kind, standing(level(scope, limit), limit, now));
        }
    }
    all
}

/// Returns the state of each limit, in the order of the scopes.
pub(super) fn each(
    scopes: &Scopes,
    now: u64,
    mut level: impl FnMut(&Scope, &Limit) -> Level,
) -> Vec<Standing> {
    let mut all = Vec::new();
    for scope in scopes.iter() {
        for limit in &scope.limits {
            all.push(standing(level(scope, limit), limit, now));
        }
    }
    all
}

fn standing(level: Level, limit: &Limit, now: u64) -> Standing {
    Standing {
        limit: limit.most,
        left: level.left(limit, now),
        whole_in: level.whole_in(limit, now),
    }
}
