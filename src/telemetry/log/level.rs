//! The level of the log, which can change while the process runs.

use tracing_subscriber::{Registry, filter::Targets, reload};

use crate::config::Log;

/// The level of the log, in the form of `log.level`.
#[derive(Clone, Debug)]
pub struct Level(pub(super) Targets);

impl Level {
    /// Parses the level of a configuration.
    ///
    /// # Errors
    /// Fails if it is neither a level nor a list of directives.
    pub fn of(log: &Log) -> Result<Self, String> {
        let parsed = log.level.parse().map(Self);
        parsed.map_err(|error| {
            format!(
                "log.level: `{}`: {error}; write error, warn, info, debug or trace, or directives such as info,h2=debug",
                log.level
            )
        })
    }
}

/// Changes the level of the log while the process runs.
#[derive(Clone, Debug)]
pub struct LevelHandle(pub(super) reload::Handle<Targets, Registry>);

impl LevelHandle {
    /// Uses another level from now on.
    pub fn set(&self, level: Level) {
        if let Err(error) = self.0.reload(level.0) {
            tracing::warn!(%error, "the level of the log cannot be changed");
        }
    }
}
