//! Which of a target's routes a call takes next.
//!
//! The preferred order first; among equals two are drawn by their weights, and the less loaded one is taken ("the power of two choices"): that
//! spreads calls nearly as well as to know all of them, and nobody runs after the one that looks best.

use tokio::time::Instant;

use super::{
    health::{Availability, Lease},
    target::Candidate,
};

/// Loads that differ by less than this factor are the same, so that weights decide.
const SAME: f64 = 1.25;

/// The routes of a call, and which of them it has tried.
#[derive(Debug)]
pub(super) struct Choice {
    candidates: Vec<Candidate>,
    tried: Vec<bool>,
    /// Routes that can't help this call any more.
    ruled_out: Vec<bool>,
}

/// What a call should do next.
#[derive(Debug)]
pub(super) enum Next {
    /// Take the route of this index.
    Take(usize, Lease),
    /// Take this one again, after a pause.
    Again(usize),
    /// No route should be called before then.
    Wait(Instant, Availability),
    /// No route is left.
    Nothing,
}

impl Choice {
    pub(super) fn new(candidates: Vec<Candidate>) -> Self {
        let none = vec![false; candidates.len()];
        Self {
            candidates,
            tried: none.clone(),
            ruled_out: none,
        }
    }

    pub(super) fn candidate(&self, index: usize) -> Option<&Candidate> {
        self.candidates.get(index)
    }

    /// How many routes there are.
    pub(super) fn len(&self) -> usize {
        self.candidates.len()
    }

    /// This route has failed.
    pub(super) fn failed(&mut self, index: usize, for_good: bool) {
        set(&mut self.tried, index);
        if for_good {
            set(&mut self.ruled_out, index);
        }
    }

    /// What to do next. `random` gives numbers from 0 to 1.
    pub(super) fn next(&self, now: Instant, random: &mut impl FnMut() -> f64) -> Next {
        // Whoever has no other way goes on asking: what a single route's health says would only make calls fail that Bedrock may answer.
        if let [only] = self.candidates.as_slice() {
            return match (self.is(&self.ruled_out, 0), self.is(&self.tried, 0)) {
                (true, _) => Next::Nothing,
                (false, true) => Next::Again(0),
                (false, false) => match only.route.health.lease(now, true) {
                    Some(lease) => Next::Take(0, lease),
                    None => Next::Nothing,
                },
            };
        }
        let mut untried = self.left(|index| !self.is(&self.tried, index), now);
        while let Some(index) = self.draw(&untried, now, random) {
            if let Some(lease) = self
                .candidates
                .get(index)
                .and_then(|candidate| candidate.route.health.lease(now, false))
            {
                return Next::Take(index, lease);
            }
            // Somebody else took the place of the probe.
            untried.retain(|other| *other != index);
        }
        let again = self.left(|_| true, now);
        if let Some(index) = self.draw(&again, now, random) {
            return Next::Again(index);
        }
        self.earliest(now)
    }

    /// The routes that can be called now.
    fn left(&self, wanted: impl Fn(usize) -> bool, now: Instant) -> Vec<usize> {
        (0..self.candidates.len())
            .filter(|index| wanted(*index) && !self.is(&self.ruled_out, *index))
            .filter(|index| {
                self.candidates.get(*index).is_some_and(|candidate| {
                    candidate.route.health.availability(now) == Availability::Available
                })
            })
            .collect()
    }

    /// One of these routes: of those that are preferred, the less loaded one of two.
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

    fn earliest(&self, now: Instant) -> Next {
        (0..self.candidates.len())
            .filter(|index| !self.is(&self.ruled_out, *index))
            .filter_map(|index| self.candidates.get(index))
            .map(|candidate| candidate.route.health.availability(now))
            .filter_map(|availability| Some((availability.until()?, availability)))
            .min_by_key(|(until, _)| *until)
            .map_or(Next::Nothing, |(until, availability)| {
                Next::Wait(until, availability)
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
