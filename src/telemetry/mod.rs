//! Logs, metrics, traces and usage records. None of them contains prompts or completions.

mod json;
pub mod log;
pub mod metrics;
mod otlp;
pub mod trace;
pub mod usage;

pub use metrics::Metrics;
pub use trace::Traces;
pub use usage::UsageRecords;
