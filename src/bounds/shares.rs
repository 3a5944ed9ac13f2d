//! Divides a fixed amount of something among peers.
//!
//! A peer that is alone may take everything. As soon as another peer is refused, each one's share
//! is the total divided by the number of peers: what is given back goes to those below their share,
//! and what can be taken back without breaking a call in progress is taken from the peer that holds
//! most.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::owner::ShareOwner;

/// How long a peer that was refused counts as waiting. Clients are told to try again after a
/// second.
const WAITS_FOR: Duration = Duration::from_secs(5);
/// How many waiting peers are remembered.
const MAX_WAITING: usize = 64;
/// At most one log line for each kind of share in this time.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// An amount that peers share. Cheap to clone; all clones are the same amount.
#[derive(Clone, Debug)]
pub struct Shares(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    what: &'static str,
    total: usize,
    refused: Counter,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    /// What each peer holds. Peers that hold nothing are not here.
    held: HashMap<ShareOwner, usize>,
    holds: HashMap<u64, Hold>,
    next: u64,
    /// Peers that were refused although they held less than their share, and until when they count
    /// as waiting.
    waiting: VecDeque<(ShareOwner, Instant)>,
    /// Refusals since the last log line, and when that was.
    unlogged: u64,
    logged: Option<Instant>,
}

#[derive(Debug)]
struct Hold {
    peer: ShareOwner,
    units: usize,
    /// Set while the hold may be taken back.
    yields: Option<CancellationToken>,
}

/// Why a share was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Everything is taken.
    Full,
    /// The peer has its share already, and others wait for theirs.
    Share,
}

/// A part of the amount, given back when dropped.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    id: u64,
    peer: ShareOwner,
    taken_back: CancellationToken,
}

impl Shares {
    /// Returns an amount of `total` units. `what` names it in the log, and `refused` counts
    /// refusals.
    pub fn new(what: &'static str, total: usize, refused: Counter) -> Self {
        Self(Arc::new(Inner {
            what,
            total,
            refused,
            state: Mutex::default(),
        }))
    }

    /// Returns how many units there are in all.
    pub fn total(&self) -> usize {
        self.0.total
    }

    /// Returns how many units are taken.
    pub fn used(&self) -> usize {
        self.state().used
    }

    /// Takes units for a peer. Until [`Share::keep`], they can be taken back for a peer that holds
    /// less.
    ///
    /// # Errors
    /// The peer can have no more for now.
    pub fn take(&self, peer: ShareOwner, units: usize) -> Result<Share, Limited> {
        let taken_back = CancellationToken::new();
        let mut state = self.state();
        self.claim(&mut state, peer, units)?;
        let id = state.next;
        state.next += 1;
        let hold = Hold {
            peer,
            units,
            yields: Some(taken_back.clone()),
        };
        state.holds.insert(id, hold);
        drop(state);
        Ok(Share {
            shares: self.clone(),
            id,
            peer,
            taken_back,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds units to what a peer holds, if it can have them.
    fn claim(&self, state: &mut State, peer: ShareOwner, units: usize) -> Result<(), Limited> {
        let claimed = state.claim(self.0.total, peer, units);
        if let Err(limited) = claimed {
            self.0.refused.inc();
            self.log(state, peer, limited);
        }
        claimed
    }

    fn log(&self, state: &mut State, peer: ShareOwner, limited: Limited) {
        state.unlogged += 1;
        let now = Instant::now();
        if state.logged.is_some_and(|last| now < last + LOG_EVERY) {
            return;
        }
        state.logged = Some(now);
        let refused = std::mem::take(&mut state.unlogged);
        let held = state.held(peer);
        tracing::warn!(
            what = self.0.what,
            %peer,
            held,
            total = self.0.total,
            refused,
            "{}",
            match limited {
                Limited::Full => "a client was refused: everything is in use",
                Limited::Share => "a client was limited to its share: others are waiting",
            }
        );
    }
}

impl State {
    fn held(&self, peer: ShareOwner) -> usize {
        self.held.get(&peer).copied().unwrap_or_default()
    }

    fn claim(&mut self, total: usize, peer: ShareOwner, units: usize) -> Result<(), Limited> {
        if !self.waiting.is_empty() {
            let now = Instant::now();
            self.waiting.retain(|(_, until)| *until > now);
        }
        let wanted = self.held(peer).saturating_add(units);
        let share = self.share(total, peer);
        let others_wait = self.waiting.iter().any(|(other, _)| *other != peer);
        if others_wait && wanted > share {
            return Err(Limited::Share);
        }
        while self.used.saturating_add(units) > total {
            if !self.take_back(peer, wanted) {
                if wanted <= share || wanted == units {
                    self.wait(peer);
                }
                return Err(Limited::Full);
            }
        }
        if !self.waiting.is_empty() {
            self.waiting.retain(|(other, _)| *other != peer);
        }
        self.used += units;
        *self.held.entry(peer).or_default() += units;
        Ok(())
    }

    /// Returns what each peer may hold when they compete.
    fn share(&self, total: usize, peer: ShareOwner) -> usize {
        let others = self.held.keys().filter(|other| **other != peer).count();
        let waiting = self
            .waiting
            .iter()
            .filter(|(other, _)| *other != peer && !self.held.contains_key(other))
            .count();
        total / (1 + others + waiting)
    }

    /// Takes the largest hold that yields back from the peer that holds most, if that is more than
    /// `wanted`.
    fn take_back(&mut self, peer: ShareOwner, wanted: usize) -> bool {
        let heavy = self
            .held
            .iter()
            .filter(|(other, held)| **other != peer && **held > wanted)
            .max_by_key(|(_, held)| **held)
            .map(|(other, _)| *other);
        let Some(heavy) = heavy else { return false };
        let largest = self
            .holds
            .iter()
            .filter(|(_, hold)| hold.peer == heavy && hold.units > 0 && hold.yields.is_some())
            .max_by_key(|(id, hold)| (hold.units, std::cmp::Reverse(**id)))
            .map(|(id, _)| *id);
        let Some(id) = largest else { return false };
        if let Some(token) = self.release(id) {
            token.cancel();
        }
        true
    }

    fn wait(&mut self, peer: ShareOwner) {
        self.waiting.retain(|(other, _)| *other != peer);
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((peer, Instant::now() + WAITS_FOR));
    }

    /// Removes a hold; returns what tells its owner, if it could be taken back.
    fn release(&mut self, id: u64) -> Option<CancellationToken> {
        let hold = self.holds.remove(&id)?;
        self.subtract(hold.peer, hold.units);
        hold.yields
    }

    fn subtract(&mut self, peer: ShareOwner, units: usize) {
        self.used = self.used.saturating_sub(units);
        if let Some(held) = self.held.get_mut(&peer) {
            *held = held.saturating_sub(units);
            if *held == 0 {
                self.held.remove(&peer);
            }
        }
    }
}

impl Share {
    /// Returns the peer that holds it.
    pub fn peer(&self) -> ShareOwner {
        self.peer
    }

    /// Adds units.
    ///
    /// # Errors
    /// The peer can have no more for now, or the share was taken back.
    pub fn grow(&self, units: usize) -> Result<(), Limited> {
        let mut state = self.shares.state();
        if !state.holds.contains_key(&self.id) {
            return Err(Limited::Share);
        }
        self.shares.claim(&mut state, self.peer, units)?;
        match state.holds.get_mut(&self.id) {
            Some(hold) => {
                hold.units += units;
                Ok(())
            }
            // `claim` takes nothing back from the peer that claims, so this does not happen.
            None => {
                state.subtract(self.peer, units);
                Err(Limited::Share)
            }
        }
    }

    /// Gives back all but this many units.
    pub fn shrink_to(&self, units: usize) {
        let mut state = self.shares.state();
        let Some(hold) = state.holds.get_mut(&self.id) else {
            return;
        };
        let less = hold.units.saturating_sub(units);
        hold.units -= less;
        state.subtract(self.peer, less);
    }

    /// Takes or gives back units until it holds this many.
    ///
    /// # Errors
    /// As with [`Share::grow`].
    pub fn resize(&self, units: usize) -> Result<(), Limited> {
        let held = {
            let state = self.shares.state();
            state.holds.get(&self.id).map_or(0, |hold| hold.units)
        };
        if units <= held {
            self.shrink_to(units);
            Ok(())
        } else {
            self.grow(units - held)
        }
    }

    /// From now on it can't be taken back.
    ///
    /// # Errors
    /// It was taken back already.
    pub fn keep(&self) -> Result<(), Limited> {
        let mut state = self.shares.state();
        let hold = state.holds.get_mut(&self.id).ok_or(Limited::Share)?;
        hold.yields = None;
        Ok(())
    }

    /// Returns what is cancelled when it is taken back. Never, once it is kept.
    pub fn token(&self) -> CancellationToken {
        self.taken_back.clone()
    }

    /// Waits until it is taken back. Never, once it is kept.
    pub async fn taken_back(&self) {
        self.taken_back.cancelled().await;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shares.state().release(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> ShareOwner {
        ShareOwner::at([10, 0, 0, n].into())
    }

    fn shares(total: usize) -> Shares {
        Shares::new("units", total, Counter::default())
    }

    fn kept(shares: &Shares, who: u8, units: usize) -> Result<Share, Limited> {
        let share = shares.take(peer(who), units)?;
        share.keep()?;
        Ok(share)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_is_alone_may_have_everything() {
        let shares = shares(10);
        let all: Vec<_> = (0..10).map(|_| kept(&shares, 1, 1).unwrap()).collect();
        assert_eq!(kept(&shares, 1, 1).unwrap_err(), Limited::Full);
        drop(all);
        assert_eq!(shares.used(), 0);
        kept(&shares, 1, 10).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_goes_to_those_who_wait() {
        let shares = shares(10);
        let mut all: Vec<_> = (0..10).map(|_| kept(&shares, 1, 1).unwrap()).collect();
        assert_eq!(kept(&shares, 2, 1).unwrap_err(), Limited::Full);
        all.pop();
        // The place is the second peer's.
        assert_eq!(kept(&shares, 1, 1).unwrap_err(), Limited::Share);
        let _second = kept(&shares, 2, 1).unwrap();
        // No peer waits any more, so that the first may have what is left.
        all.pop();
        all.push(kept(&shares, 1, 1).unwrap());
        // A peer that does not come back is forgotten.
        assert_eq!(kept(&shares, 3, 1).unwrap_err(), Limited::Full);
        all.pop();
        tokio::time::advance(WAITS_FOR).await;
        all.push(kept(&shares, 1, 1).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn what_yields_is_taken_back_for_a_peer_with_less() {
        let shares = shares(10);
        let waiting: Vec<_> = (0..10).map(|_| shares.take(peer(1), 1).unwrap()).collect();
        let new = shares.take(peer(2), 1).unwrap();
        let lost = waiting
            .iter()
            .filter(|share| share.taken_back.is_cancelled());
        assert_eq!(lost.count(), 1);
        waiting[0].taken_back().await;
        assert_eq!(waiting[0].keep(), Err(Limited::Share));
        assert_eq!(shares.used(), 10);
        // No peer takes from itself, nor from one that holds as much.
        assert_eq!(shares.take(peer(1), 1).unwrap_err(), Limited::Full);
        assert!(!new.taken_back.is_cancelled());
        drop((waiting, new));
        assert_eq!(shares.used(), 0);
        assert!(shares.state().held.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_grows_and_shrinks() {
        let shares = shares(100);
        let share = shares.take(peer(1), 10).unwrap();
        share.grow(80).unwrap();
        assert_eq!(share.grow(11), Err(Limited::Full));
        share.shrink_to(5);
        assert_eq!(shares.used(), 5);
        share.shrink_to(50);
        assert_eq!(shares.used(), 5);
        drop(share);
        assert_eq!(shares.used(), 0);
    }
}
