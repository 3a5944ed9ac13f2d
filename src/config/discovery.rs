//! `discovery`: how the gateway looks up the destination Regions of inference profiles.

use std::time::Duration;

use super::{section::Section, units};

/// How the gateway looks up the destination Regions of inference profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Whether the gateway looks up these Regions. Calls are routed even without a lookup.
    /// `discovery.enabled`, default true.
    pub enabled: bool,
    /// The interval between two lookups. If a lookup fails, the gateway keeps the previous results.
    /// `discovery.refresh`, default 15m.
    pub refresh: Duration,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            enabled: true,
            refresh: Duration::from_secs(900),
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Discovery {
    let default = Discovery::default();
    let discovery = Discovery {
        enabled: section
            .value("enabled", units::boolean)
            .unwrap_or(default.enabled),
        refresh: section
            .value("refresh", units::positive_duration)
            .unwrap_or(default.refresh),
    };
    section.finish();
    discovery
}
