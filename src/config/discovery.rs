//! `discovery`: how the gateway learns what inference profiles lead to.

use std::time::Duration;

use super::{section::Section, units};

/// How the gateway learns what inference profiles lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Whether Bedrock is asked at all. `discovery.enabled`, default true. Calls are routed all the same.
    pub enabled: bool,
    /// How often. What is known stays known when Bedrock can't be asked. `discovery.refresh`, default 15m.
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
