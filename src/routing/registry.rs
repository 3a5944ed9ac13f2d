//! Stores the state of this replica's routes: health, cooldowns, open calls, inference profiles.
//! The key is the identity of a route, so the state survives a reload.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
};

use tokio::sync::Notify;

use super::{
    ends_of_life::EndsOfLife,
    identity_health::IdentityHealth,
    profiles::Profiles,
    route::{RouteKey, RouteState},
};

/// The maximum number of states whose routes are not in any current configuration.
const MOST_UNUSED: usize = 2_048;

/// The state of all routes of a process. All routers of the process share it.
#[derive(Debug, Default)]
pub(super) struct Registry {
    states: Mutex<States>,
    pub(super) profiles: Profiles,
    pub(super) ends_of_life: EndsOfLife,
    /// Notified when there is a new route whose profile can be looked up.
    pub(super) unknown: Notify,
}

#[derive(Debug, Default)]
struct States {
    by_key: HashMap<RouteKey, Arc<RouteState>>,
    /// The identities that fail, by account.
    credentials: HashMap<Arc<str>, Arc<IdentityHealth>>,
}

impl Registry {
    /// Returns the state of a route, and creates it if necessary.
    pub(super) fn state(&self, key: &RouteKey) -> Arc<RouteState> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let States {
            by_key,
            credentials,
        } = &mut *states;
        if let Some(known) = by_key.get(key) {
            return Arc::clone(known);
        }
        let credentials = credentials.entry(Arc::clone(&key.account)).or_default();
        let new = Arc::new(RouteState::new(Arc::clone(credentials)));
        by_key.insert(key.clone(), Arc::clone(&new));
        new
    }

    /// Removes states that no route uses, if there are many. This limits memory, because callers
    /// can name any number of routes.
    pub(super) fn prune(&self) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let is_used = |state: &Arc<RouteState>| Arc::strong_count(state) > 1;
        let used = states.by_key.values().filter(|state| is_used(state));
        if states.by_key.len() - used.count() > MOST_UNUSED {
            states.by_key.retain(|_, state| is_used(state));
        }
    }

    /// Returns the number of open calls to Bedrock on all routes.
    pub(super) fn open_calls(&self) -> usize {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let open = states.by_key.values().map(|state| state.open.load(Relaxed));
        open.sum()
    }
}
