//! How much all clients together may hold: calls, watches, connections, and memory of requests.

use crate::{
    bounds::Shares,
    grpc::{Admission, Generation},
    telemetry::{Metrics, metrics::LimitedResource},
};

/// What clients share. The totals are those of the current configuration. Cheap to clone; all
/// clones share the same resources.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    /// The slots of calls.
    pub(super) admission: Admission,
    /// The slots of connections.
    pub(super) connections: Shares,
    /// The memory of requests, in bytes.
    pub(super) memory: Shares,
}

impl Totals {
    /// Creates resources with the totals of the first generation.
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

    /// Uses the totals of another generation. What clients hold stays theirs.
    pub(super) fn become_those_of(&self, next: &Generation) {
        let limits = &next.limits;
        self.admission
            .set_totals(limits.max_streams, limits.max_watches);
        self.connections.set_total(limits.max_connections);
        self.memory.set_total(next.memory);
    }
}
