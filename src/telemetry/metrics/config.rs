//! Defines the metrics of the configuration and its reloads.

use std::time::SystemTime;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use super::seconds_since_epoch;

/// The hash of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ConfigHash {
    /// The SHA-256 of the configuration's text, in hexadecimal.
    pub hash: String,
}

/// The metrics of the configuration and its reloads.
#[derive(Clone, Debug)]
pub struct ConfigMetrics {
    /// 1 if the gateway uses the files in their current state, 0 if their last change was refused.
    pub last_reload_successful: Gauge,
    last_success_at: Gauge,
    generation: Gauge,
    info: Family<ConfigHash, Gauge>,
    /// The number of generations that are in use by calls, including the current one.
    pub generations_in_use: Gauge,
}

impl ConfigMetrics {
    /// Registers the metrics.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            last_reload_successful: Gauge::default(),
            last_success_at: Gauge::default(),
            generation: Gauge::default(),
            info: Family::default(),
            generations_in_use: Gauge::default(),
        };
        registry.register(
            "config_last_reload_successful",
            "1 if the gateway uses the configuration files as they are, 0 if it refused their last change",
            metrics.last_reload_successful.clone(),
        );
        registry.register_with_unit(
            "config_last_reload_success_timestamp",
            "When the configuration was last loaded, in seconds since the Unix epoch",
            Unit::Seconds,
            metrics.last_success_at.clone(),
        );
        registry.register(
            "config_generation",
            "The number of the configuration since the start of the process: 1, plus the number of reloads",
            metrics.generation.clone(),
        );
        registry.register(
            "config_info",
            "The SHA-256 of the text of the configuration file",
            metrics.info.clone(),
        );
        registry.register(
            "config_generations_in_use",
            "Configurations in use: the current one, and those of calls that began before a reload",
            metrics.generations_in_use.clone(),
        );
        metrics
    }

    /// Records a generation that is now the current one.
    pub fn loaded(&self, number: u64, hash: &str, at: SystemTime) {
        self.last_reload_successful.set(1);
        self.last_success_at.set(seconds_since_epoch(at));
        self.generation
            .set(i64::try_from(number).unwrap_or(i64::MAX));
        self.info.clear();
        let hash = ConfigHash {
            hash: hash.to_owned(),
        };
        self.info.get_or_create_owned(&hash).set(1);
    }
}
