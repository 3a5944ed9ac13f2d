//! Reports connections that HTTP/2's own limits have closed, because their client sent too many
//! frames of a kind: rapid resets, continuations or empty data.

use std::{
    error::Error,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::metrics::counter::Counter;

use crate::{
    bounds::LogInterval,
    telemetry::{Metrics, metrics::LimitedResource},
};

/// Counts and logs such connections. Cheap to clone; all clones share the counts.
#[derive(Clone, Debug)]
pub(super) struct Floods(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    closed: Counter,
    log: Mutex<LogInterval>,
}

impl Floods {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let limited = LimitedResource { what: "frames" };
        Self(Arc::new(Inner {
            closed: metrics.limited.get_or_create_owned(&limited),
            log: Mutex::default(),
        }))
    }

    /// Reports the connection of this peer if it ended because of a flood.
    pub(super) fn ended(&self, peer: SocketAddr, error: &(dyn Error + 'static)) {
        let Some(flood) = flood(error) else { return };
        self.0.closed.inc();
        let mut log = self.0.log.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(connections) = log.count() else {
            return;
        };
        tracing::warn!(
            %peer,
            connections,
            why = %flood,
            "a client's connection was closed: it sent too many HTTP/2 frames"
        );
    }
}

/// Returns the HTTP/2 error with which the gateway closed the connection because of a flood.
fn flood<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e h2::Error> {
    let mut error = Some(error);
    while let Some(next) = error {
        if let Some(of_http2) = next.downcast_ref::<h2::Error>() {
            let is_flood = of_http2.is_go_away()
                && of_http2.is_library()
                && of_http2.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM);
            return is_flood.then_some(of_http2);
        }
        error = next.source();
    }
    None
}
