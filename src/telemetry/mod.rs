//! Logs and metrics. Prompts and completions are in neither.

pub mod log;
pub mod metrics;

pub use metrics::Metrics;
