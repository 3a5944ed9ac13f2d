//! Selects the route of a call's next attempt.
//!
//! Routes with a lower order are tried first. Of the routes with equal order, two are drawn by
//! weight, and the less loaded one is selected ("the power of two choices"). This spreads calls
//! almost as well as a comparison of all routes. It also prevents all calls from using the one
//! route that is least loaded at the moment.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    health::{Availability, RoutePermit},
    identity_health::IdentityFault,
    target::RouteCandidate,
};
use crate::error::Failure;

/// Two loads are treated as equal if they differ by less than this factor. The weights then decide.
const SAME: f64 = 1.25;

/// The routes of a call, and which of them it has tried.
#[derive(Debug)]
pub(super) struct RouteSelection {
    candidates: Vec<RouteCandidate>,
    tried: Vec<bool>,
    /// For each route, whether the call can no longer use it.
    ruled_out: Vec<bool>,
    /// Whether the routes are in several accounts. If so, another identity may be able to make the
    /// call.
    several_accounts: bool,
    /// The caller, if a separate AWS identity signs its calls.
    owner: Option<Arc<str>>,
}

/// The next step of a call.
#[derive(Debug)]
pub(super) enum NextStep {
    /// Make an attempt on the route with this index.
    Take(usize, RoutePermit),
    /// Make another attempt on this route, after a pause.
    Again(usize),
    /// All routes are skipped until this time.
    Wait(Instant, Availability),
    /// No route is left to try.
    Nothing,
}

impl RouteSelection {
    pub(super) fn new(candidates: Vec<RouteCandidate>, owner: Option<Arc<str>>) -> Self {
        let none = vec![false; candidates.len()];
        let mut accounts = candidates.iter().map(|known| &known.route.account);
        let first = accounts.next();
        let several_accounts = accounts.any(|account| Some(account) != first);
        Self {
            candidates,
            tried: none.clone(),
            ruled_out: none,
            several_accounts,
            owner,
        }
    }

    /// Records that Bedrock has answered on this route.
    pub(super) fn answered(&self, index: usize) {
        if !self.several_accounts {
            return;
        }
        if let Some(candidate) = self.candidates.get(index) {
            candidate.route.credentials.succeeded(self.owner.as_deref());
            candidate.route.access.succeeded(self.owner.as_deref());
        }
    }

    /// Records that the identity of this route has failed. Returns whether another account is left
    /// whose identity may be able to make the call.
    pub(super) fn identity_failed(
        &mut self,
        index: usize,
        fault: IdentityFault,
        failure: &Failure,
        now: Instant,
    ) -> bool {
        if !self.several_accounts {
            return false;
        }
        let Some(failed) = self.candidates.get(index).map(|known| &known.route) else {
            return false;
        };
        let failing = match fault {
            IdentityFault::Credentials => failed.credentials.as_ref(),
            IdentityFault::Access => &failed.access,
        };
        failing.failed(self.owner.as_deref(), failure, now);
        for (candidate, ruled_out) in self.candidates.iter().zip(&mut self.ruled_out) {
            *ruled_out |= candidate.route.account == failed.account;
        }
        self.ruled_out.contains(&false)
    }

    /// Returns whether this call can use a route or skips it.
    fn availability(&self, candidate: &RouteCandidate, now: Instant) -> Availability {
        let route = &candidate.route;
        match route.health.availability(now) {
            Availability::Available if self.several_accounts => {
                let until = route.identity_skipped_until(self.owner.as_deref(), now);
                until.map_or(Availability::Available, Availability::IdentityFailsUntil)
            }
            availability => availability,
        }
    }

    /// Begins an attempt, unless another call has become the probe of the route or of its identity.
    pub(super) fn permit(&self, index: usize, now: Instant, insists: bool) -> Option<RoutePermit> {
        let route = &self.candidates.get(index)?.route;
        if !self.several_accounts {
            return route.health.permit(now, insists);
        }
        let owner = self.owner.as_deref();
        let may_begin = insists
            || (route.credentials.skipped_until(owner, now).is_none()
                && route.access.begin(owner, now)
                && route.credentials.begin(owner, now));
        may_begin
            .then(|| route.health.permit(now, insists))
            .flatten()
    }

    pub(super) fn candidate(&self, index: usize) -> Option<&RouteCandidate> {
        self.candidates.get(index)
    }

    /// Returns the number of routes.
    pub(super) fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Records that an attempt on this route failed.
    pub(super) fn failed(&mut self, index: usize, for_good: bool) {
        set(&mut self.tried, index);
        if for_good {
            set(&mut self.ruled_out, index);
        }
    }

    /// Returns the next step. `random` returns numbers from 0 to 1.
    pub(super) fn next(&self, now: Instant, random: &mut impl FnMut() -> f64) -> NextStep {
        // If a target has a single route, that route is called regardless of its health. Skipping
        // it would fail calls that Bedrock may answer.
        if self.candidates.len() == 1 {
            return match (self.is(&self.ruled_out, 0), self.is(&self.tried, 0)) {
                (true, _) => NextStep::Nothing,
                (false, true) => NextStep::Again(0),
                (false, false) => match self.permit(0, now, true) {
                    Some(permit) => NextStep::Take(0, permit),
                    None => NextStep::Nothing,
                },
            };
        }
        let mut untried = self.left(|index| !self.is(&self.tried, index), now);
        while let Some(index) = self.draw(&untried, now, random) {
            if let Some(permit) = self.permit(index, now, false) {
                return NextStep::Take(index, permit);
            }
            // Another call has become the probe of this route.
            untried.retain(|other| *other != index);
        }
        let again = self.left(|_| true, now);
        if let Some(index) = self.draw(&again, now, random) {
            return NextStep::Again(index);
        }
        self.earliest(now)
    }

    /// Returns the routes that satisfy `wanted` and are not skipped now.
    fn left(&self, wanted: impl Fn(usize) -> bool, now: Instant) -> Vec<usize> {
        (0..self.candidates.len())
            .filter(|index| wanted(*index) && !self.is(&self.ruled_out, *index))
            .filter(|index| {
                self.candidates.get(*index).is_some_and(|candidate| {
                    self.availability(candidate, now) == Availability::Available
                })
            })
            .collect()
    }

    /// Draws two of the routes with the lowest order, and returns the less loaded one.
    fn draw(
        &self,
        among: &[usize],
        now: Instant,
        random: &mut impl FnMut() -> f64,
    ) -> Option<usize> {
        let order = |index: &usize| self.candidates.get(*index).map(|candidate| candidate.order);
        let first = among.iter().filter_map(order).min()?;
        let mut equals: Vec<usize> = among
            .iter()
            .copied()
            .filter(|index| order(index) == Some(first))
            .collect();
        let one = self.draw_by_weight(&equals, random())?;
        equals.retain(|index| *index != one);
        let Some(other) = self.draw_by_weight(&equals, random()) else {
            return Some(one);
        };
        let load = |index: usize| {
            self.candidates
                .get(index)
                .map_or(f64::MAX, |candidate| candidate.route.health.load(now))
        };
        Some(if load(one) <= load(other) * SAME {
            one
        } else {
            other
        })
    }

    fn draw_by_weight(&self, among: &[usize], random: f64) -> Option<usize> {
        let weight = |index: &usize| {
            self.candidates
                .get(*index)
                .map_or(0.0, |candidate| f64::from(candidate.weight))
        };
        let mut left = random * among.iter().map(weight).sum::<f64>();
        among
            .iter()
            .find(|index| {
                left -= weight(index);
                left < 0.0
            })
            .or(among.last())
            .copied()
    }

    fn earliest(&self, now: Instant) -> NextStep {
        (0..self.candidates.len())
            .filter(|index| !self.is(&self.ruled_out, *index))
            .filter_map(|index| self.candidates.get(index))
            .map(|candidate| self.availability(candidate, now))
            .filter_map(|availability| Some((availability.until()?, availability)))
            .min_by_key(|(until, _)| *until)
            .map_or(NextStep::Nothing, |(until, availability)| {
                NextStep::Wait(until, availability)
            })
    }

    fn is(&self, flags: &[bool], index: usize) -> bool {
        flags.get(index).copied().unwrap_or_default()
    }
}

fn set(flags: &mut [bool], index: usize) {
    if let Some(flag) = flags.get_mut(index) {
        *flag = true;
    }
}
