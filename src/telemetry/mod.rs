//! Logs, metrics and traces. Prompts and completions are in none of them.

pub mod log;
pub mod metrics;
pub mod trace;

pub use metrics::Metrics;
pub use trace::Traces;
