//! Decides which peer may take units, and from which peer units are taken back.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bounds::{log_interval::LogInterval, owner::ShareOwner};

/// How long a peer counts as waiting after it was refused. Its retry delay is one second, so a peer
/// that retries keeps waiting.
pub(super) const WAITS_FOR: Duration = Duration::from_secs(5);
/// The maximum number of waiting peers. If there are more, the oldest one is removed.
const MAX_WAITING: usize = 64;

/// The units of a resource and who holds them.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) total: usize,
    pub(super) used: usize,
    /// The number of units that each peer holds. Contains only peers that hold at least one.
    pub(super) held: HashMap<ShareOwner, usize>,
    pub(super) holds: HashMap<u64, Hold>,
    pub(super) next: u64,
    /// The refused peers that hold less than their share, and when each of them stops counting as
    /// waiting.
    waiting: VecDeque<(ShareOwner, Instant)>,
    /// The log lines about refusals.
    pub(super) log: LogInterval,
}

/// Units that a peer holds.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) peer: ShareOwner,
    pub(super) units: usize,
    /// The total when the hold began. The hold can grow within this total, even if it was lowered
    /// since.
    pub(super) begun_with: usize,
    /// Cancelled if the units are taken back. `None` if they cannot be taken back.
    pub(super) yields: Option<CancellationToken>,
}

/// Why a share was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// All units are in use.
    Full,
    /// The peer has its full share, and other peers wait for theirs.
    Share,
}

impl State {
    /// Creates the state of a resource with this many units.
    pub(super) fn of(total: usize) -> Self {
        Self {
            total,
            ..Self::default()
        }
    }

    pub(super) fn held(&self, peer: ShareOwner) -> usize {
        self.held.get(&peer).copied().unwrap_or_default()
    }

    pub(super) fn claim(
        &mut self,
        total: usize,
        peer: ShareOwner,
        units: usize,
    ) -> Result<(), Limited> {
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
            // If the total was lowered, taking units back would end calls without making enough
            // room.
            if self.used > total || !self.take_back(peer, wanted) {
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

    /// Returns how many units a peer may hold while other peers wait.
    fn share(&self, total: usize, peer: ShareOwner) -> usize {
        let others = self.held.keys().filter(|other| **other != peer).count();
        let waiting = self
            .waiting
            .iter()
            .filter(|(other, _)| *other != peer && !self.held.contains_key(other))
            .count();
        total / (1 + others + waiting)
    }

    /// Takes back the largest revocable hold of the peer that holds most, if it holds more than
    /// `wanted` units. Returns whether it did.
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

    /// Removes a hold. If it was revocable, returns the token by which its owner is informed.
    pub(super) fn release(&mut self, id: u64) -> Option<CancellationToken> {
        let hold = self.holds.remove(&id)?;
        self.subtract(hold.peer, hold.units);
        hold.yields
    }

    pub(super) fn subtract(&mut self, peer: ShareOwner, units: usize) {
        self.used = self.used.saturating_sub(units);
        if let Some(held) = self.held.get_mut(&peer) {
            *held = held.saturating_sub(units);
            if *held == 0 {
                self.held.remove(&peer);
            }
        }
    }
}
