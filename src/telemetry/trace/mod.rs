//! Creates spans of calls and their attempts, and sends them to a collector over OTLP.
//!
//! An open call has only a [`TraceContext`]. Its spans are created when it ends, from the times
//! that were recorded. So spans add no cost per token, and a call that is not sampled costs only
//! the context.
//!
//! | file | job |
//! |---|---|
//! | `context` | W3C Trace Context: parses and formats headers |
//! | `span` | the attributes of a call's and an attempt's span |
//! | `attribute` | the names of attributes |
//! | `export` | sends spans to the collector |

mod attribute;
mod context;
mod export;
mod span;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry_sdk::trace::SpanData;
use tokio::time::Instant;

pub use context::{SpanId, TRACEPARENT, TRACESTATE, TraceContext, TraceId, new_span_id};
pub use span::{AttemptSpan, CallSpan, Operation, Request, Usage};

use self::export::Exporter;
use crate::config;

/// How long a shutdown waits until the last spans are sent.
const FLUSH: Duration = Duration::from_secs(3);

/// Samples calls and sends their spans. Cheap to clone. All clones share the exporter. The default
/// value has no exporter and sends nothing.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    exporter: Option<Arc<Exporter>>,
    sample_ratio: f64,
}

impl Traces {
    /// Starts the exporter, if a collector is configured. Must be called within a Tokio runtime, on
    /// which the connection to the collector runs.
    ///
    /// # Errors
    /// Fails if the collector's address or certificates are invalid. An unreachable collector is
    /// not an error.
    pub fn start(config: &config::Traces) -> Result<Self, String> {
        let Some(endpoint) = &config.otlp_endpoint else {
            return Ok(Self::default());
        };
        Ok(Self {
            exporter: Some(Arc::new(Exporter::start(endpoint, config)?)),
            sample_ratio: config.sample_ratio,
        })
    }

    /// Returns the same exporter with another sample ratio.
    #[must_use]
    pub fn with_sample_ratio(&self, sample_ratio: f64) -> Self {
        Self {
            exporter: self.exporter.clone(),
            sample_ratio,
        }
    }

    /// Returns the trace of a call that arrived at this time. If the client sent a trace, its
    /// sampling decision applies. If the trace begins here, the configured ratio decides.
    pub fn call(&self, mut context: TraceContext, arrived: Instant) -> CallTrace {
        if let (Some(_), None) = (&self.exporter, context.parent) {
            context.sampled = is_within(self.sample_ratio, context.trace_id);
        }
        let exporter = self.exporter.as_ref().filter(|_| context.sampled);
        let recorder = exporter.map(|exporter| Recorder {
            exporter: Arc::clone(exporter),
            arrived,
            arrived_at: SystemTime::now() - arrived.elapsed(),
        });
        CallTrace { context, recorder }
    }

    /// Sends the remaining spans, for at most a fixed time.
    pub async fn flush(&self) {
        let Some(exporter) = self.exporter.clone() else {
            return;
        };
        let flushing = tokio::task::spawn_blocking(move || exporter.end(FLUSH));
        let _ended = flushing.await;
    }
}

/// The trace of a call.
#[derive(Debug)]
pub struct CallTrace {
    context: TraceContext,
    recorder: Option<Recorder>,
}

impl CallTrace {
    /// Returns the context of the call's span.
    pub fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Returns the recorder for the call's spans. `None` if the call is not sampled.
    pub fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }
}

/// Creates the spans of a call that has ended.
#[derive(Debug)]
pub struct Recorder {
    exporter: Arc<Exporter>,
    arrived: Instant,
    arrived_at: SystemTime,
}

impl Recorder {
    /// Creates the span of the call.
    pub fn call(&self, context: &TraceContext, call: &CallSpan<'_>) {
        self.send(call.span(context, self.arrived_at, self.at(call.ended)));
    }

    /// Creates the span of an attempt. `context` is a child of the context of the call.
    pub fn attempt(&self, context: &TraceContext, attempt: &AttemptSpan<'_>) {
        self.send(attempt.span(context, self.at(attempt.began), self.at(attempt.ended)));
    }

    fn send(&self, span: SpanData) {
        self.exporter.send(span);
    }

    fn at(&self, moment: Instant) -> SystemTime {
        self.arrived_at + moment.saturating_duration_since(self.arrived)
    }
}

/// Decides by the lower 63 bits of the trace ID, as OpenTelemetry's `TraceIdRatioBased` does. So
/// services with the same ratio make the same decision.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of all numbers"
)]
fn is_within(ratio: f64, trace_id: TraceId) -> bool {
    let [_, _, _, _, _, _, _, _, low @ ..] = trace_id.to_bytes();
    let bound = (ratio * (1_u64 << 63) as f64) as u64;
    ratio >= 1.0 || u64::from_be_bytes(low) >> 1 < bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_share_of_all_traces() {
        for (ratio, expected) in [(0.0, 0), (0.25, 250), (1.0, 1_000)] {
            // The trace IDs are evenly distributed, which makes the test deterministic.
            let ids = (0..1_000_u64).map(|n| TraceId::from(u128::from(n * (u64::MAX / 1_000))));
            let sampled = ids.filter(|id| is_within(ratio, *id)).count();
            assert!(sampled.abs_diff(expected) <= 1, "{ratio}: {sampled}");
        }
    }
}
