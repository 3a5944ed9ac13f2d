//! Limits the resources of all clients together: calls, watches, connections, and memory of
//! requests.

use crate::{
    bounds::Shares,
    grpc::{Admission, Generation},
    telemetry::{Metrics, metrics::LimitedResource},
};

/// The resources that clients share. Their totals are set by the current configuration. Cheap to
/// clone. All clones share the same resources.
#[derive(Clone, Debug)]
pub(super) struct SharedResources {
    /// The slots of calls.
    pub(super) admission: Admission,
    /// The slots of connections.
    pub(super) connections: Shares,
    /// The memory of requests, in bytes.
    pub(super) memory: Shares,
}

impl SharedResources {
    /// Creates the resources with the totals of the first generation.
    pub(super) fn of(first: &Generation, metrics: &Metrics) -> Self {
        let shares = |name, what, total| {
            let limited = LimitedResource { what };
            Shares::new(name, total, metrics.limited.get_or_create_owned(&limited))
        };
        let limits = &first.limits;
        Self {
            admission: Admission::new(limits.max_streams, limits.max_watches, metrics),
            connections: shares("connections", "connections", limits.max_connections),
            memory: shares("request memory", "memory", first.memory),
        }
    }

    /// Sets the totals of another generation. Clients keep the resources that they hold.
    pub(super) fn apply(&self, next: &Generation) {
        let limits = &next.limits;
        self.admission
            .set_totals(limits.max_streams, limits.max_watches);
        self.connections.set_total(limits.max_connections);
        self.memory.set_total(next.memory);
    }
}
