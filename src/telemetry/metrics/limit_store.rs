//! Defines the metrics of the limit store, which counts usage for all replicas.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::Durations;

/// The upper bounds of durations, in seconds. The lowest fit a store in the same zone, the highest
/// one that hangs.
const STEPS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
];

/// The label of a step, which is a request to the limit store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StoreStep {
    /// `reserve`, `settle` or `renew`.
    pub step: &'static str,
}

/// The labels of a failed step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StoreFailure {
    /// `reserve`, `settle` or `renew`.
    pub step: &'static str,
    /// `timeout`, `connection`, `full`, `read_only`, `starting`, `permission` or `error`.
    pub reason: &'static str,
}

/// The label of a call that was decided without the limit store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct WithoutStore {
    /// The configured policy: `allow`, `deny` or `local`.
    pub policy: &'static str,
}

/// The metrics of the limit store.
#[derive(Clone, Debug)]
pub struct LimitStore {
    /// The duration of steps.
    pub duration: Family<StoreStep, Durations>,
    /// Steps that failed.
    pub failures: Family<StoreFailure, Counter>,
    /// 1 if calls use the limit store, 0 while the circuit breaker is open.
    pub available: Gauge,
    /// Calls that were decided without the store.
    pub without: Family<WithoutStore, Counter>,
    /// Settlements that the limit store has not acknowledged yet.
    pub waiting: Gauge,
    /// Settlements that were given up. Their calls stay charged at the reserved amount, or are not
    /// charged at all.
    pub lost: Counter,
    /// Settlements of calls for which the limit store had no reservation. The calls were charged in
    /// full.
    pub unreserved: Counter,
    /// Reservations of replicas whose lease expired. They are charged at the reserved amount, which
    /// is an estimate.
    pub lapsed: Counter,
    /// Settlements that replaced such an estimate by the actual usage.
    pub corrected: Counter,
    /// 1 if a full limit store evicts keys without a TTL, so that counts can be lost.
    pub evicts: Gauge,
}

impl LimitStore {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let all = Self {
            duration: Family::new_with_constructor(|| Durations::new(STEPS)),
            failures: Family::default(),
            available: Gauge::default(),
            without: Family::default(),
            waiting: Gauge::default(),
            lost: Counter::default(),
            unreserved: Counter::default(),
            lapsed: Counter::default(),
            corrected: Counter::default(),
            evicts: Gauge::default(),
        };
        registry.register_with_unit(
            "limit_store",
            "How long the store of limits took for a step",
            Unit::Seconds,
            all.duration.clone(),
        );
        registry.register(
            "limit_store_failures",
            "Steps of the store of limits that failed",
            all.failures.clone(),
        );
        registry.register(
            "limit_store_available",
            "1 if calls ask the store of limits, 0 while the circuit breaker is open",
            all.available.clone(),
        );
        registry.register(
            "limit_store_without",
            "Calls with limits that did not use the store because it failed, by limits.on_store_failure",
            all.without.clone(),
        );
        registry.register(
            "limit_store_waiting_settlements",
            "Settlements that the store of limits has not acknowledged yet",
            all.waiting.clone(),
        );
        registry.register(
            "limit_store_lost_settlements",
            "Settlements that were given up",
            all.lost.clone(),
        );
        registry.register(
            "limit_store_unreserved_settlements",
            "Settlements without a reservation in the store, charged in full",
            all.unreserved.clone(),
        );
        registry.register(
            "limit_store_lapsed_reservations",
            "Reservations of replicas that ended without settling, charged as reserved",
            all.lapsed.clone(),
        );
        registry.register(
            "limit_store_corrected_settlements",
            "Settlements that corrected the estimate of a lapsed reservation",
            all.corrected.clone(),
        );
        registry.register(
            "limit_store_evicts",
            "1 if the store of limits evicts counts when it is full",
            all.evicts.clone(),
        );
        all
    }
}
