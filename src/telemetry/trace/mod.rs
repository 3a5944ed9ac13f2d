//! Spans of calls and of their attempts, sent over OTLP to a collector.
//!
//! A running call has only a [`TraceContext`]. Its spans are created when it has ended, from
//! recorded times. So a token costs nothing, and a call whose trace is not sampled costs very
//! little.
//!
//! | file | job |
//! |---|---|
//! | `context` | W3C Trace Context, in and out |
//! | `span` | the content of the spans of calls and attempts |
//! | `attribute` | OpenTelemetry's attribute names |
//! | `export` | the connection to the collector |

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
pub use span::{Attempt, Call, Request, Usage};

use self::export::Exporter;
use crate::config;

/// How long the process waits for the last spans at shutdown.
const FLUSH: Duration = Duration::from_secs(3);

/// Decides which calls have spans, and sends them. Cheap to clone; all clones share the connection
/// to the collector. The default sends nothing.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Arc<Sending>>);

#[derive(Debug)]
struct Sending {
    exporter: Exporter,
    sample_ratio: f64,
}

impl Traces {
    /// Starts to send spans to the configured collector, if any. Must run in a Tokio runtime, which
    /// drives the connection to the collector.
    ///
    /// # Errors
    /// Fails if the collector's address or certificates cannot be used. Having no collector is not
    /// an error.
    pub fn start(config: &config::Traces) -> Result<Self, String> {
        let Some(endpoint) = &config.otlp_endpoint else {
            return Ok(Self::default());
        };
        let sending = Sending {
            exporter: Exporter::start(endpoint, config)?,
            sample_ratio: config.sample_ratio,
        };
        Ok(Self(Some(Arc::new(sending))))
    }

    /// Starts the trace of a call that arrived at this time, and decides whether it is sampled: by
    /// the caller's flag, or by the ratio if the trace begins here.
    pub fn call(&self, mut context: TraceContext, arrived: Instant) -> CallTrace {
        if let (Some(sending), None) = (&self.0, context.parent) {
            context.sampled = is_within(sending.sample_ratio, context.trace_id);
        }
        let sending = self.0.as_ref().filter(|_| context.sampled);
        let recorder = sending.map(|sending| Recorder {
            sending: Arc::clone(sending),
            arrived,
            arrived_at: SystemTime::now() - arrived.elapsed(),
        });
        CallTrace { context, recorder }
    }

    /// Sends the remaining spans, within a time limit.
    pub async fn flush(&self) {
        let Some(sending) = self.0.clone() else {
            return;
        };
        let flushing = tokio::task::spawn_blocking(move || sending.exporter.end(FLUSH));
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
    /// The trace context of the call.
    pub fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Creates spans of the call, if it is sampled.
    pub fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }
}

/// Creates spans of a call that has ended.
#[derive(Debug)]
pub struct Recorder {
    sending: Arc<Sending>,
    arrived: Instant,
    arrived_at: SystemTime,
}

impl Recorder {
    /// The call's own span.
    pub fn call(&self, context: &TraceContext, call: &Call<'_>) {
        self.send(call.span(context, self.arrived_at, self.at(call.ended)));
    }

    /// The span of one of its attempts, whose context is a child of the call's.
    pub fn attempt(&self, context: &TraceContext, attempt: &Attempt<'_>) {
        self.send(attempt.span(context, self.at(attempt.began), self.at(attempt.ended)));
    }

    fn send(&self, span: SpanData) {
        self.sending.exporter.send(span);
    }

    fn at(&self, moment: Instant) -> SystemTime {
        self.arrived_at + moment.saturating_duration_since(self.arrived)
    }
}

/// The same decision in every service with the same ratio, as OpenTelemetry's `TraceIdRatioBased`
/// makes it: by the lower 63 bits.
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
            // Evenly distributed over all IDs, so the test does not depend on chance.
            let ids = (0..1_000_u64).map(|n| TraceId::from(u128::from(n * (u64::MAX / 1_000))));
            let sampled = ids.filter(|id| is_within(ratio, *id)).count();
            assert!(sampled.abs_diff(expected) <= 1, "{ratio}: {sampled}");
        }
    }
}
