//! Limits the number of open connections to the admin port for each client address.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::bounds::ShareOwner;

/// The maximum number of open connections of one address. Probes and scrapers need only a few. The
/// limit is a quarter of all connections, so that no single address can use them all.
const MAX_PER_PEER: usize = 64;

/// The open connections of each address. Clones share their counts.
#[derive(Clone, Default)]
pub(super) struct Peers(Arc<Mutex<HashMap<ShareOwner, usize>>>);

/// One open connection of an address.
pub(super) struct PeerConnection {
    peers: Peers,
    owner: ShareOwner,
}

impl Peers {
    /// Counts a connection until the returned value is dropped. Returns `None` if the address has
    /// too many.
    pub(super) fn connect(&self, address: SocketAddr) -> Option<PeerConnection> {
        let owner = ShareOwner::from(address);
        let mut open = self.lock();
        let connections = open.entry(owner).or_default();
        if *connections >= MAX_PER_PEER {
            return None;
        }
        *connections += 1;
        drop(open);
        Some(PeerConnection {
            peers: self.clone(),
            owner,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ShareOwner, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PeerConnection {
    fn drop(&mut self) {
        let mut open = self.peers.lock();
        if let Some(connections) = open.get_mut(&self.owner) {
            *connections -= 1;
            if *connections == 0 {
                open.remove(&self.owner);
            }
        }
    }
}
