//! Parses the level of the log, and changes it while the process runs.

use tracing_subscriber::{
    Registry,
    filter::{LevelFilter, Targets},
    reload,
};

use crate::config::Log;

/// The level of the log, in the format of `log.level`.
#[derive(Clone, Debug)]
pub struct Level(pub(super) Targets);

impl Level {
    /// Parses the level of a configuration.
    ///
    /// # Errors
    /// Fails if the text is neither a level nor a list of directives.
    pub fn of(log: &Log) -> Result<Self, String> {
        parse(&log.level).map(Self).map_err(|problem| {
            format!(
                "log.level: `{}`: {problem}; write off, error, warn, info, debug or trace, or directives such as info,h2=debug",
                log.level
            )
        })
    }
}

/// Parses directives. A directive without `=` must be a level. The library would accept `warning`
/// as the target of events, and log nothing else.
fn parse(text: &str) -> Result<Targets, String> {
    for directive in text.split(',').filter(|part| !part.contains('=')) {
        if directive.is_empty() || directive.parse::<LevelFilter>().is_err() {
            return Err(format!("`{directive}` is not a level"));
        }
    }
    text.parse()
        .map_err(|error: tracing_subscriber::filter::ParseError| error.to_string())
}

/// Changes the level of the log while the process runs.
#[derive(Clone, Debug)]
pub struct LevelHandle(pub(super) reload::Handle<Targets, Registry>);

impl LevelHandle {
    /// Sets another level.
    pub fn set(&self, level: Level) {
        if let Err(error) = self.0.reload(level.0) {
            tracing::warn!(%error, "the level of the log cannot be changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_directive_without_a_target_is_a_level() {
        for text in ["info", "WARN", "off", "info,h2=debug", "h2=debug,error"] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for (text, problem) in [
            ("warning", "`warning` is not a level"),
            ("info,h2", "`h2` is not a level"),
            ("info,", "`` is not a level"),
            ("", "`` is not a level"),
        ] {
            assert_eq!(parse(text).unwrap_err(), problem);
        }
        assert!(parse("h2=loud").is_err());
    }
}
