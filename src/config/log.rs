//! `log`: the format and level of the log.

use super::{section::Section, units};

/// The format and level of the log. Prompts and completions are never logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// One JSON object per line, or readable text. `log.format`, default `json`.
    pub format: LogFormat,
    /// The level: `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,h2=debug`.
    /// `log.level`, default `info`.
    pub level: String,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object.
    Json,
    /// Readable text.
    Text,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Json,
            level: "info".to_owned(),
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Log {
    let default = Log::default();
    let log = Log {
        format: section
            .value("format", |text| {
                units::one_of(
                    text,
                    &[("json", LogFormat::Json), ("text", LogFormat::Text)],
                )
            })
            .unwrap_or(default.format),
        level: section.value("level", units::text).unwrap_or(default.level),
    };
    section.finish();
    log
}
