//! Defines the gateway's metrics for Prometheus. docs/observability.md lists them.

mod callers;
mod certificate;
mod config;
mod durations;
mod labels;
mod limit_store;

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::{
    collector::Collector,
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::{Metric, Registry, Unit},
};

pub use callers::{Budget, CallerCall, CallerLabel, CallerTokens, Callers};
pub use certificate::{CertificateExpiry, Expiries};
pub use config::{ConfigHash, ConfigMetrics};
pub use durations::Durations;
pub use labels::{
    AccountLabel, AttemptLabels, AuthenticationFailure, Breaker, Build, CallLabels, Cancelled,
    Issuer, KeyFetch, LimitedResource, RouteLabels, SdkRequest, TargetLabel, Tokens, Unknown,
    UsageMissing, UsageSink,
};
pub use limit_store::{LimitStore, StoreFailure, StoreStep, WithoutStore};

/// The upper bounds for gaps between tokens, in seconds. Tokens usually arrive every 5 to 50 ms,
/// and sometimes together.
const GAPS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// The upper bounds for times to the first event, in seconds. The lowest fit a small model in the
/// same Region, the highest a large model that reasons first.
const BEGINNINGS: &[f64] = &[
    0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4,
];
/// The upper bounds for the duration of calls, in seconds. The highest fit Bedrock's longest
/// answers.
const CALLS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0,
];

/// All metrics of the process. Cheap to update from any thread.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Open calls.
    pub open_calls: Gauge,
    /// Open connections of clients.
    pub open_connections: Gauge,
    /// Running tasks of all runtimes. Updated when the metrics are read.
    pub runtime_tasks: Gauge,
    /// Calls that were rejected because the replica was saturated.
    pub refused: Counter,
    /// Calls that were rejected because their credential was missing or invalid.
    pub authentication_failures: Family<AuthenticationFailure, Counter>,
    /// Calls without an identity that were accepted although callers are configured.
    pub unidentified_calls: Counter,
    /// Fetches of the keys of token issuers.
    pub key_fetches: Family<KeyFetch, Counter>,
    /// When the keys of token issuers were last fetched, in seconds since the Unix epoch.
    pub keys_fetched_at: Family<Issuer, Gauge>,
    /// Requests, connections and watches that were refused because a shared resource was in use, by
    /// resource.
    pub limited: Family<LimitedResource, Counter>,
    /// Tokens of calls above what they had reserved from a limit.
    pub tokens_beyond_reservation: Counter,
    /// Cost of calls above what they had reserved from a cost limit, in 1e-9 US dollars.
    pub nano_usd_beyond_reservation: Counter,
    /// The limit store, which counts usage for all replicas.
    pub limit_store: LimitStore,
    /// Calls, tokens, cost and budgets by caller.
    pub callers: Callers,
    /// The configuration and its reloads.
    pub config: ConfigMetrics,
    /// Ended calls.
    pub calls: Family<CallLabels, Counter>,
    /// The duration of calls, from arrival to end.
    pub call_duration: Family<TargetLabel, Durations>,
    /// Requests to Bedrock that the AWS SDK made, because the gateway had none to repeat.
    pub sdk_requests: Family<SdkRequest, Counter>,
    /// Attempts of ended calls.
    pub attempts: Family<AttemptLabels, Counter>,
    /// The time from a call's arrival until its first event is sent to the client.
    pub time_to_first_event: Family<TargetLabel, Durations>,
    /// The time from a call's arrival until Bedrock's first delta arrives.
    pub time_to_first_token: Family<TargetLabel, Durations>,
    /// The time between two deltas.
    pub inter_token_gap: Family<TargetLabel, Durations>,
    /// Tokens by type, as Bedrock counted them.
    pub tokens: Family<Tokens, Counter>,
    /// Calls with a complete answer whose usage Bedrock did not send.
    pub usage_missing: Family<UsageMissing, Counter>,
    /// Calls whose client cancelled or disconnected, by whether Bedrock's usage was read.
    pub cancelled: Family<Cancelled, Counter>,
    /// Usage records that were written, by sink.
    pub usage_records_written: Family<UsageSink, Counter>,
    /// Usage records that were dropped, by sink.
    pub usage_records_dropped: Family<UsageSink, Counter>,
    /// Events and members of events for which the API has no field.
    pub unknown: Family<Unknown, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("bedrock_grpc");
        let build = Build {
            version: env!("CARGO_PKG_VERSION"),
        };
        registry.register("build", "The running version", Info::new(build));
        let started = Gauge::<i64>::default();
        started.set(seconds_since_epoch(SystemTime::now()));
        registry.register_with_unit(
            "start_time",
            "When this process started, in seconds since the Unix epoch",
            Unit::Seconds,
            started,
        );
        registry.register(
            "log_lines_dropped",
            "Log lines that were dropped because standard error was not read in time, or failed",
            super::log::dropped(),
        );
        let limit_store = LimitStore::new(&mut registry);
        let callers = Callers::new(&mut registry);
        let config = ConfigMetrics::new(&mut registry);
        let mut all = New(&mut registry);
        Self {
            open_calls: all.counts("open_calls", "Open calls"),
            open_connections: all.counts(
                "open_connections",
                "Open connections of clients",
            ),
            runtime_tasks: all.counts(
                "runtime_tasks",
                "Running tasks: connections, calls, and background work",
            ),
            refused: all.counts(
                "refused",
                "Calls that were refused because the replica had no free slot",
            ),
            key_fetches: all.counts(
                "issuer_key_fetches",
                "Fetches of the keys of token issuers",
            ),
            keys_fetched_at: all.counts(
                "issuer_keys_fetched_timestamp_seconds",
                "When the keys of token issuers were last fetched, in seconds since the Unix epoch",
            ),
            limited: all.counts(
                "limited",
                "Calls and connections that were refused because a shared resource was in use, by resource",
            ),
            authentication_failures: all.counts(
                "authentication_failures",
                "Calls that were refused because their credential was missing or not valid",
            ),
            unidentified_calls: all.counts(
                "unidentified_calls",
                "Calls without an identity that were accepted although callers are configured",
            ),
            tokens_beyond_reservation: all.counts(
                "tokens_beyond_reservation",
                "Tokens that calls used beyond their reservation from a limit",
            ),
            nano_usd_beyond_reservation: all.counts(
                "nano_usd_beyond_reservation",
                "Money that calls used beyond their reservation from a limit, in 1e-9 US dollars",
            ),
            limit_store,
            callers,
            config,
            calls: all.counts("calls", "Calls that have ended"),
            call_duration: all.times("call_duration", "Time from a call's arrival to its end", || {
                Durations::new(CALLS)
            }),
            sdk_requests: all.counts(
                "sdk_requests",
                "Requests to Bedrock that the AWS SDK made, because the gateway could not repeat an earlier one",
            ),
            attempts: all.counts("attempts", "Attempts at Bedrock, counted when their call has ended"),
            time_to_first_event: all.times(
                "time_to_first_event",
                "Time from a call's arrival to the first event that was sent to the client",
                || Durations::new(BEGINNINGS),
            ),
            time_to_first_token: all.times(
                "time_to_first_token",
                "Time from a call's arrival to the first content delta from Bedrock",
                || Durations::new(BEGINNINGS),
            ),
            inter_token_gap: all.times(
                "inter_token_gap",
                "Time between two content deltas from Bedrock, as the gateway read them",
                || Durations::new(GAPS),
            ),
            tokens: all.counts("tokens", "Tokens, as Bedrock counted them"),
            usage_missing: all.counts(
                "usage_missing",
                "Calls with a complete answer for which Bedrock sent no usage",
            ),
            cancelled: all.counts(
                "cancelled",
                "Calls whose client cancelled or disconnected, by whether their usage is known",
            ),
            usage_records_written: all.counts(
                "usage_records_written",
                "Usage records that were written, by sink",
            ),
            usage_records_dropped: all.counts(
                "usage_records_dropped",
                "Usage records that were dropped because the sink was too slow or down, by sink",
            ),
            unknown: all.counts(
                "unknown",
                "Events and members of events for which the API has no field",
            ),
            registry,
        }
    }
}

/// Converts a time to seconds since the Unix epoch, for gauges.
pub fn seconds_since_epoch(time: SystemTime) -> i64 {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX)
}

/// Creates metrics and registers them.
struct New<'a>(&'a mut Registry);

impl New<'_> {
    fn counts<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }

    fn times(
        &mut self,
        name: &str,
        help: &str,
        new: fn() -> Durations,
    ) -> Family<TargetLabel, Durations> {
        let family = Family::new_with_constructor(new);
        self.0
            .register_with_unit(name, help, Unit::Seconds, family.clone());
        family
    }
}

impl Metrics {
    /// Adds a collector.
    pub fn also(&mut self, collector: impl Collector) {
        self.registry.register_collector(Box::new(collector));
    }

    /// Returns all metrics in the text format of OpenMetrics.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _infallible = text::encode(&mut out, &self.registry);
        out
    }
}
