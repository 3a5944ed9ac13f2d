//! Counts the calls to Bedrock that are open on a route.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::route::Route;

/// A call to Bedrock that is open for as long as this lives, in whatever way it ends.
#[derive(Debug)]
pub struct OpenCall(Arc<Route>);

impl OpenCall {
    /// One more.
    pub fn on(route: Arc<Route>) -> Self {
        route.open.fetch_add(1, Relaxed);
        Self(route)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}
