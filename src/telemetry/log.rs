//! Log lines: one JSON object each, or text for people. They go to standard error; standard output belongs to the commands.

use std::io::IsTerminal;

use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

/// Starts logging for the whole process.
///
/// # Errors
/// The level can't be read, or logging has been started before.
pub fn start(log: &Log) -> Result<(), String> {
    let filter: Targets = log
        .level
        .parse()
        .map_err(|error| format!("log.level: `{}`: {error}", log.level))?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match log.format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry
            .with(lines.with_ansi(std::io::stderr().is_terminal()))
            .try_init(),
    };
    started.map_err(|error| error.to_string())
}
