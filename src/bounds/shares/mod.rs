//! Divides the units of a resource among peers.
//!
//! While there is only one peer, it may take all units. When another peer is refused, each peer's
//! share becomes the total divided by the number of peers, and units that become free go to peers
//! that hold less than their share. If units can be taken back without ending a call that has
//! begun, they are taken from the peer that holds most.
//!
//! The total can change. If it is lowered, peers keep the units that they hold.

mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tokio::{sync::Notify, time::timeout};
use tokio_util::sync::CancellationToken;

pub use self::state::Limited;
use self::state::{Hold, State};
use super::owner::ShareOwner;

/// The maximum time between two attempts of a call that waits for units.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The units of a resource that peers share. Cheap to clone; all clones share the same units.
#[derive(Clone, Debug)]
pub struct Shares(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    what: &'static str,
    refused: Counter,
    /// Tells waiting calls that units have become free.
    freed: Notify,
    state: Mutex<State>,
}

/// Units that a peer holds. Dropping this gives them back.
#[derive(Debug)]
pub struct Share {
    shares: Shares,
    id: u64,
    peer: ShareOwner,
    taken_back: CancellationToken,
}

impl Shares {
    /// Creates a resource with `total` units. `what` is its name in the log, and `refused` counts
    /// refusals.
    pub fn new(what: &'static str, total: usize, refused: Counter) -> Self {
        Self(Arc::new(Inner {
            what,
            refused,
            freed: Notify::new(),
            state: Mutex::new(State::of(total)),
        }))
    }

    /// Returns the total number of units.
    pub fn total(&self) -> usize {
        self.state().total
    }

    /// Changes the total number of units. If the new total is lower, peers keep their units, but
    /// get no more until enough units have been given back.
    pub fn set_total(&self, total: usize) {
        self.state().total = total;
        self.0.freed.notify_waiters();
    }

    /// Returns the number of units in use.
    pub fn used(&self) -> usize {
        self.state().used
    }

    /// Takes units for a peer. Until [`Share::keep`] is called, they can be taken back for another
    /// peer that holds less.
    ///
    /// # Errors
    /// Fails if the peer cannot have more units at the moment.
    pub fn take(&self, peer: ShareOwner, units: usize) -> Result<Share, Limited> {
        self.take_as_begun(peer, units, 0)
    }

    /// Takes units like [`Shares::take`] for a call that began when the total was `begun_with`. If
    /// the total has been lowered since then, the previous total still applies to this call.
    ///
    /// # Errors
    /// Fails like [`Shares::take`].
    pub fn take_as_begun(
        &self,
        peer: ShareOwner,
        units: usize,
        begun_with: usize,
    ) -> Result<Share, Limited> {
        let mut state = self.state();
        let begun_with = begun_with.max(state.total);
        self.claim(&mut state, begun_with, peer, units)?;
        let hold = Hold {
            peer,
            units,
            begun_with,
            yields: Some(CancellationToken::new()),
        };
        Ok(self.hold(&mut state, hold))
    }

    /// Waits until a call can have this many units, and takes them irrevocably. If they are more
    /// than the total, takes all. A wait counts as one refusal. `begun_with` is used as in
    /// [`Shares::take_as_begun`].
    pub async fn take_when_free(&self, peer: ShareOwner, units: usize, begun_with: usize) -> Share {
        let mut waits = false;
        loop {
            let mut freed = std::pin::pin!(self.0.freed.notified());
            // Units that become free from here on are noticed.
            freed.as_mut().enable();
            {
                let mut state = self.state();
                let begun_with = begun_with.max(state.total);
                let units = units.min(begun_with);
                let claimed = if waits {
                    state.claim(begun_with, peer, units)
                } else {
                    self.claim(&mut state, begun_with, peer, units)
                };
                if claimed.is_ok() {
                    let hold = Hold {
                        peer,
                        units,
                        begun_with,
                        yields: None,
                    };
                    return self.hold(&mut state, hold);
                }
            }
            waits = true;
            // A peer's share can also grow because other peers have stopped waiting.
            let _freed_or_not = timeout(RETRY_AFTER, freed).await;
        }
    }

    /// Records units that were claimed.
    fn hold(&self, state: &mut State, hold: Hold) -> Share {
        let id = state.next;
        state.next += 1;
        let share = Share {
            shares: self.clone(),
            id,
            peer: hold.peer,
            taken_back: hold.yields.clone().unwrap_or_default(),
        };
        state.holds.insert(id, hold);
        share
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds units to those of a peer, if its share allows this.
    fn claim(
        &self,
        state: &mut State,
        total: usize,
        peer: ShareOwner,
        units: usize,
    ) -> Result<(), Limited> {
        let claimed = state.claim(total, peer, units);
        if let Err(limited) = claimed {
            self.0.refused.inc();
            self.log(state, peer, limited);
        }
        claimed
    }

    fn log(&self, state: &mut State, peer: ShareOwner, limited: Limited) {
        let Some(refused) = state.log.count() else {
            return;
        };
        let held = state.held(peer);
        tracing::warn!(
            what = self.0.what,
            %peer,
            held,
            total = state.total,
            refused,
            "{}",
            match limited {
                Limited::Full => "a client was refused: the resource is fully used",
                Limited::Share => "a client was limited to its share: others are waiting",
            }
        );
    }
}

impl Share {
    /// Returns the peer that holds the units.
    pub fn peer(&self) -> ShareOwner {
        self.peer
    }

    /// Takes more units.
    ///
    /// # Errors
    /// Fails if the peer cannot have more units at the moment, or if the share was taken back.
    pub fn grow(&self, units: usize) -> Result<(), Limited> {
        let mut state = self.shares.state();
        let hold = state.holds.get(&self.id).ok_or(Limited::Share)?;
        let total = hold.begun_with.max(state.total);
        self.shares.claim(&mut state, total, self.peer, units)?;
        match state.holds.get_mut(&self.id) {
            Some(hold) => {
                hold.units += units;
                Ok(())
            }
            // This does not happen: `claim` takes nothing back from the peer for which it claims
            // units.
            None => {
                state.subtract(self.peer, units);
                Err(Limited::Share)
            }
        }
    }

    /// Gives back units until only this many are left.
    pub fn shrink_to(&self, units: usize) {
        let mut state = self.shares.state();
        let Some(hold) = state.holds.get_mut(&self.id) else {
            return;
        };
        let less = hold.units.saturating_sub(units);
        hold.units -= less;
        state.subtract(self.peer, less);
        drop(state);
        self.shares.0.freed.notify_waiters();
    }

    /// Takes units or gives them back, so that exactly this many are held.
    ///
    /// # Errors
    /// Fails like [`Share::grow`].
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

    /// Makes the units irrevocable, so that they can no longer be taken back.
    ///
    /// # Errors
    /// Fails if the units were taken back already.
    pub fn keep(&self) -> Result<(), Limited> {
        let mut state = self.shares.state();
        let hold = state.holds.get_mut(&self.id).ok_or(Limited::Share)?;
        hold.yields = None;
        Ok(())
    }

    /// Returns the token that is cancelled when the units are taken back. After [`Share::keep`], it
    /// is never cancelled.
    pub fn token(&self) -> CancellationToken {
        self.taken_back.clone()
    }

    /// Waits until the units are taken back. After [`Share::keep`], it waits forever.
    pub async fn taken_back(&self) {
        self.taken_back.cancelled().await;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shares.state().release(self.id);
        self.shares.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{state::WAITS_FOR, *};

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
    async fn a_call_that_waits_gets_units_as_soon_as_they_are_free() {
        let shares = shares(10);
        let held = kept(&shares, 1, 8).unwrap();
        let waiting = shares.clone();
        let waiting = tokio::spawn(async move { waiting.take_when_free(peer(1), 6, 0).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let started = Instant::now();
        held.shrink_to(4);
        let share = waiting.await.unwrap();
        assert_eq!((shares.used(), started.elapsed()), (10, Duration::ZERO));
        // It is not taken back for another client.
        assert_eq!(kept(&shares, 2, 1).unwrap_err(), Limited::Full);
        drop((held, share));
        assert_eq!(shares.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_comes_before_peers_above_their_share() {
        let shares = shares(10);
        let mut held: Vec<_> = (0..10).map(|_| kept(&shares, 1, 1).unwrap()).collect();
        let waiting = shares.clone();
        let waiting = tokio::spawn(async move { waiting.take_when_free(peer(2), 5, 0).await });
        tokio::task::yield_now().await;
        for _ in 0..5 {
            held.pop();
            assert_eq!(kept(&shares, 1, 1).unwrap_err(), Limited::Share);
        }
        waiting.await.unwrap();
        assert_eq!(shares.used(), 5);
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
        // The unit that became free is for the second peer.
        assert_eq!(kept(&shares, 1, 1).unwrap_err(), Limited::Share);
        let _second = kept(&shares, 2, 1).unwrap();
        // No other peer waits any longer, so the first peer may take the remaining units.
        all.pop();
        all.push(kept(&shares, 1, 1).unwrap());
        // A peer that does not retry no longer counts as waiting after some time.
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
        // Nothing is taken back from the same peer, or from a peer that holds as many units.
        assert_eq!(shares.take(peer(1), 1).unwrap_err(), Limited::Full);
        assert!(!new.taken_back.is_cancelled());
        drop((waiting, new));
        assert_eq!(shares.used(), 0);
        assert!(shares.state().held.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lowered_total_applies_to_what_begins_later() {
        let shares = shares(10);
        let held: Vec<_> = (0..3).map(|_| kept(&shares, 1, 1).unwrap()).collect();
        let begun: Vec<_> = (0..3).map(|_| shares.take(peer(1), 1).unwrap()).collect();
        shares.set_total(4);
        assert_eq!((shares.total(), shares.used()), (4, 6));
        // Nothing is taken back, because this would not make enough room.
        assert_eq!(shares.take(peer(2), 1).unwrap_err(), Limited::Full);
        assert!(begun.iter().all(|share| !share.taken_back.is_cancelled()));
        // A call that has begun can still take as many units as the previous total allowed.
        let late = shares.take_as_begun(peer(1), 1, 10);
        assert_eq!(late.unwrap_err(), Limited::Share, "the second peer waits");
        tokio::time::advance(WAITS_FOR).await;
        begun[0].grow(2).unwrap();
        let late = shares.take_as_begun(peer(1), 1, 10).unwrap();
        late.grow(1).unwrap();
        assert_eq!(begun[0].grow(1), Err(Limited::Full));
        drop((held, late));
        assert_eq!(shares.used(), 5);
        assert_eq!(shares.take(peer(2), 1).unwrap_err(), Limited::Full);
        drop(begun);
        kept(&shares, 2, 4).unwrap();
        assert_eq!(shares.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_raised_total_applies_at_once() {
        let shares = shares(2);
        let small = kept(&shares, 1, 2).unwrap();
        assert_eq!(small.grow(1), Err(Limited::Full));
        assert_eq!(kept(&shares, 2, 1).unwrap_err(), Limited::Full);
        shares.set_total(10);
        small.grow(1).unwrap();
        let waited = kept(&shares, 2, 1).unwrap();
        waited.grow(6).unwrap();
        assert_eq!(shares.used(), 10);
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
