//! Writes log lines to standard error: one JSON object each, or readable text. Only commands and
//! usage records write to standard output.

use std::io::IsTerminal;

use tracing_subscriber::{
    filter::{LevelFilter, Targets, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat};

/// The crate whose events are logged at the operator's level.
const OWN: &str = env!("CARGO_CRATE_NAME");
/// The maximum level of other crates, by a prefix of an event's target, regardless of `log.level`.
/// Events of the AWS SDK contain credentials and the output of credential processes at every level.
/// Events of other crates contain headers at `trace`.
const OTHERS: &[(&str, LevelFilter)] = &[("aws_", LevelFilter::OFF), ("", LevelFilter::DEBUG)];

/// Starts logging for the whole process.
///
/// # Errors
/// Fails if the level cannot be parsed, or if logging was started before.
pub fn start(log: &Log) -> Result<(), String> {
    let filter: Targets = log
        .level
        .parse()
        .map_err(|error| format!("log.level: `{}`: {error}", log.level))?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(|event| *event.level() <= most(event.target())));
    let started = match log.format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry
            .with(lines.with_ansi(std::io::stderr().is_terminal()))
            .try_init(),
    };
    started.map_err(|error| error.to_string())
}

/// Returns the maximum level of events with a target.
fn most(target: &str) -> LevelFilter {
    if target.split("::").next() == Some(OWN) {
        return LevelFilter::TRACE;
    }
    let of_others = OTHERS.iter().find(|(start, _)| target.starts_with(start));
    of_others.map_or(LevelFilter::DEBUG, |(_, most)| *most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_crates_never_log_what_holds_secrets() {
        for (target, level) in [
            ("bedrock_grpc::bedrock::http", LevelFilter::TRACE),
            ("bedrock_grpc", LevelFilter::TRACE),
            ("bedrock_grpc_other", LevelFilter::DEBUG),
            ("aws_config::credential_process", LevelFilter::OFF),
            ("aws_smithy_runtime::client", LevelFilter::OFF),
            ("aws_sdk_sts", LevelFilter::OFF),
            ("hyper::proto", LevelFilter::DEBUG),
            ("h2", LevelFilter::DEBUG),
        ] {
            assert_eq!(most(target), level, "{target}");
        }
    }
}
