//! Stores the routes of one configuration, each once.

use std::{collections::HashMap, sync::Arc};

use super::{
    registry::Registry,
    route::{Route, RouteKey},
    target::Target,
};

/// The routes of a configuration, of aliases and of direct targets.
#[derive(Debug)]
pub(super) struct RouteTable {
    pub(super) all: HashMap<RouteKey, Arc<Route>>,
    /// Direct targets, by name.
    pub(super) raw: HashMap<String, Arc<Target>>,
    registry: Arc<Registry>,
}

impl RouteTable {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self {
            all: HashMap::new(),
            raw: HashMap::new(),
            registry,
        }
    }

    /// Returns the route of a key. Creates the route if necessary. `of_alias` is true if the route
    /// is created for an alias. All aliases are added before callers can name other routes.
    pub(super) fn get(&mut self, key: RouteKey, of_alias: bool) -> Arc<Route> {
        let Self { all, registry, .. } = self;
        let new = |key: &RouteKey| Arc::new(Route::new(key, registry.state(key), of_alias));
        Arc::clone(all.entry(key).or_insert_with_key(new))
    }
}
