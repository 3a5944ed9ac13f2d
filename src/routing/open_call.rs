//! Counts the open calls to Bedrock of each route.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::route::Route;

/// An open call to Bedrock. The call counts as open until this value is dropped.
#[derive(Debug)]
pub struct OpenCall(Arc<Route>);

impl OpenCall {
    /// Counts a further open call on a route.
    pub fn on(route: Arc<Route>) -> Self {
        route.state.open.fetch_add(1, Relaxed);
        Self(route)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.state.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::route::RouteKey, *};

    #[test]
    fn a_panic_ends_a_call_as_well() {
        let route = Arc::new(Route::new(
            &RouteKey {
                account: "".into(),
                model_id: "a.model".to_owned(),
                source_region: "us-east-1".to_owned(),
            },
            Arc::default(),
            true,
        ));
        let one = OpenCall::on(Arc::clone(&route));
        let other = Arc::clone(&route);
        let ended = std::thread::spawn(move || {
            let _open = OpenCall::on(Arc::clone(&other));
            assert_eq!(other.open_calls(), 1, "there are two");
        });
        assert!(ended.join().is_err());
        assert_eq!(route.open_calls(), 1);
        drop(one);
        assert_eq!(route.open_calls(), 0);
    }
}
