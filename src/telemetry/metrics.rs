//! What the gateway counts, in Prometheus's form.

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Everything that is counted. One for the process; cheap to update from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Calls that are open now.
    pub open_calls: Gauge,
    /// Tasks of all runtimes that have not ended. Set when someone asks.
    pub runtime_tasks: Gauge,
    /// Calls that were refused because the gateway was full.
    pub refused: Counter,
    /// Calls that have ended, by method, target, code and reason.
    pub calls: Family<Call, Counter>,
    /// Attempts at Bedrock that have ended, by target, source Region and why they failed.
    pub attempts: Family<Attempt, Counter>,
    /// Seconds from a call's arrival to the first event that was sent.
    pub time_to_first_event: Histogram,
    /// Tokens by kind, as Bedrock counted them.
    pub tokens: Family<Tokens, Counter>,
    /// Calls whose client went away, by whether their usage is known.
    pub cancelled: Family<Cancelled, Counter>,
    /// What Bedrock sent that the API has no field for: events, and members of events.
    pub unknown: Family<Unknown, Counter>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Call {
    /// `Invoke` or `StreamInvoke`.
    pub method: &'static str,
    /// The alias, or `raw` for a model ID or ARN that the caller named: callers must not make up labels.
    pub target: String,
    /// The gRPC code, such as `OK` or `UNAVAILABLE`.
    pub code: &'static str,
    /// The reason in ErrorInfo. Empty for OK.
    pub reason: &'static str,
}

/// An attempt at Bedrock.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Attempt {
    /// The alias, or `raw`.
    pub target: String,
    /// The source Region that was called. Empty for `raw`.
    pub source_region: String,
    /// Why it failed, as the reason in ErrorInfo. Empty for one that answered.
    pub reason: &'static str,
}

/// A kind of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Tokens {
    /// The alias, or `raw`.
    pub target: String,
    /// `input`, `output`, `cache_read` or `cache_write`.
    pub kind: &'static str,
}

/// A call whose client went away.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Cancelled {
    /// `known` if Bedrock's stream was read to its end all the same, else `unknown`.
    pub usage: &'static str,
}

/// A kind of thing that the API has no field for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Unknown {
    /// `event` or `member`.
    pub kind: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("bedrock_grpc");
        let open_calls = Gauge::default();
        let runtime_tasks = Gauge::default();
        let refused = Counter::default();
        let calls = Family::default();
        let attempts = Family::default();
        let time_to_first_event = Histogram::new([
            0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4,
        ]);
        let tokens = Family::default();
        let cancelled = Family::default();
        let unknown = Family::default();
        registry.register("open_calls", "Calls that are open now", open_calls.clone());
        registry.register(
            "runtime_tasks",
            "Tasks that have not ended: connections, calls, and what looks after them",
            runtime_tasks.clone(),
        );
        registry.register(
            "refused",
            "Calls that were refused because the gateway was full",
            refused.clone(),
        );
        registry.register("calls", "Calls that have ended", calls.clone());
        registry.register(
            "attempts",
            "Attempts at Bedrock of calls that have ended",
            attempts.clone(),
        );
        registry.register_with_unit(
            "time_to_first_event",
            "From a call's arrival to the first event that was sent",
            Unit::Seconds,
            time_to_first_event.clone(),
        );
        registry.register("tokens", "Tokens, as Bedrock counted them", tokens.clone());
        registry.register(
            "cancelled",
            "Calls whose client went away, by whether their usage is known",
            cancelled.clone(),
        );
        registry.register(
            "unknown",
            "Events and members of events that the API has no field for",
            unknown.clone(),
        );
        Self {
            registry,
            open_calls,
            runtime_tasks,
            refused,
            calls,
            attempts,
            time_to_first_event,
            tokens,
            cancelled,
            unknown,
        }
    }
}

impl Metrics {
    /// All of it in OpenMetrics' text form.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a String can't fail.
        let _infallible = text::encode(&mut out, &self.registry);
        out
    }
}
