//! Logs, metrics and traces. None of them contains prompts or completions.

pub mod log;
pub mod metrics;
pub mod trace;

pub use metrics::Metrics;
pub use trace::Traces;
