//! Sends spans to the collector. Calls never wait for the collector: they put spans into a bounded
//! queue, and a separate thread sends the spans in batches. Spans that cannot be sent are dropped,
//! and their number is logged from time to time.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::HeaderMap;
use opentelemetry_otlp::{WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor},
};

use crate::{
    config,
    telemetry::otlp::{self, TIMEOUT},
};

/// The maximum number of spans in the queue and in flight. They need about 10 MB.
const QUEUE: usize = 4_096;
/// The maximum number of spans in one request.
const BATCH: usize = 512;
/// The maximum time that a span waits until its batch is sent.
const DELAY: Duration = Duration::from_secs(1);
/// The minimum time between two log lines about dropped spans.
const SILENCE: Duration = Duration::from_secs(60);

/// Sends spans.
#[derive(Debug)]
pub(super) struct Exporter {
    processor: BatchSpanProcessor,
    tally: Arc<Tally>,
}

impl Exporter {
    pub(super) fn start(endpoint: &str, config: &config::Traces) -> Result<Self, String> {
        let headers = otlp::headers(&config.headers);
        let channel = otlp::channel("traces", endpoint, config.extra_ca_file.as_deref())?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_channel(channel)
            .with_timeout(TIMEOUT)
            // This interceptor is added last, so that the configuration takes precedence over the
            // environment.
            .with_interceptor(move |mut request: tonic::Request<()>| {
                let all: &mut HeaderMap = request.metadata_mut().as_mut();
                all.extend(headers.clone());
                Ok(request)
            })
            .build()
            .map_err(|error| format!("traces: {error}"))?;
        Ok(Self::over(exporter, &otlp::resource(config)))
    }

    fn over(exporter: impl SpanExporter + 'static, resource: &Resource) -> Self {
        let tally = Arc::<Tally>::default();
        let counted = Counted {
            inner: exporter,
            tally: Arc::clone(&tally),
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let mut processor = BatchSpanProcessor::new(counted, batches);
        processor.set_resource(resource);
        Self { processor, tally }
    }

    /// Adds a span to the queue, if there is room.
    pub(super) fn send(&self, span: SpanData) {
        if self.tally.enter() {
            self.processor.on_end(span);
        } else {
            self.tally.lose(1, &"the collector is too slow");
        }
    }

    /// Sends the remaining spans, for at most this time. Blocks the thread.
    pub(super) fn end(&self, limit: Duration) {
        if self.processor.shutdown_with_timeout(limit).is_err() {
            let left = self.tally.queued.load(Ordering::Relaxed);
            self.tally
                .lose(left, &"the collector did not accept the last spans in time");
        }
        self.tally.tell_the_rest();
    }
}

/// An exporter that updates the tally with the result of each batch.
#[derive(Debug)]
struct Counted<E> {
    inner: E,
    tally: Arc<Tally>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = self.inner.export(batch).await;
        self.tally.leave(spans);
        match &sent {
            Ok(()) => self.tally.arrive(),
            Err(error) => self.tally.lose(spans, error),
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// Counts the queued spans and the dropped spans.
#[derive(Debug, Default)]
struct Tally {
    /// The number of spans in the queue or in flight.
    queued: AtomicUsize,
    /// The number of dropped spans that have not been logged yet.
    lost: AtomicU64,
    /// Whether spans were dropped since the last successful batch.
    failing: AtomicBool,
    /// The time of the last log line.
    told: Mutex<Option<Instant>>,
}

impl Tally {
    /// Reserves room in the queue, if there is any.
    fn enter(&self) -> bool {
        let free = self.queued.fetch_add(1, Ordering::Relaxed) < QUEUE;
        if !free {
            self.leave(1);
        }
        free
    }

    fn leave(&self, spans: usize) {
        self.queued.fetch_sub(spans, Ordering::Relaxed);
    }

    fn arrive(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            tracing::info!(lost, "spans reach the collector again");
        }
    }

    fn lose(&self, spans: usize, why: &dyn fmt::Display) {
        self.lost.fetch_add(spans as u64, Ordering::Relaxed);
        self.failing.store(true, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|at| at.elapsed() < SILENCE) {
            return;
        }
        *told = Some(Instant::now());
        let lost = self.lost.swap(0, Ordering::Relaxed);
        tracing::warn!(lost, %why, "dropping spans; calls are not affected");
    }

    /// Logs how many dropped spans have not been logged yet, when the process ends.
    fn tell_the_rest(&self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "dropped spans at shutdown");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::telemetry::trace::{CallSpan, TraceContext};

    /// A collector that never answers.
    #[derive(Debug)]
    struct Stuck;

    impl SpanExporter for Stuck {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            std::future::pending().await
        }
    }

    fn span() -> SpanData {
        let call = CallSpan {
            method: "Invoke",
            target: "raw",
            request_id: "",
            caller: "",
            code: "OK",
            reason: "",
            attempts: 1,
            ended: tokio::time::Instant::now(),
        };
        let context = TraceContext::of_call(&HeaderMap::new());
        call.span(&context, SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH)
    }

    /// Checks that neither sending nor the shutdown waits for the collector, and that spans that do
    /// not fit into the queue are dropped.
    #[test]
    fn a_stuck_collector_delays_nothing() {
        let exporter = Exporter::over(Stuck, &Resource::builder_empty().build());
        for _ in 0..QUEUE + 7 {
            exporter.send(span());
        }
        assert_eq!(exporter.tally.queued.load(Ordering::Relaxed), QUEUE);
        // The first drop is logged at once.
        assert_eq!(exporter.tally.lost.load(Ordering::Relaxed), 6);
        exporter.end(Duration::from_millis(50));
        assert_eq!(exporter.tally.lost.load(Ordering::Relaxed), 0, "told");
    }

    #[test]
    fn no_more_than_the_queue_holds_are_waiting() {
        let tally = Tally::default();
        assert!((0..QUEUE).all(|_| tally.enter()));
        assert!(!tally.enter());
        assert!(!tally.enter());
        tally.leave(1);
        assert!(tally.enter());
        assert!(!tally.enter());
    }

    #[test]
    fn losses_are_logged_once_in_a_while() {
        let tally = Tally::default();
        tally.lose(3, &"first");
        assert_eq!(tally.lost.load(Ordering::Relaxed), 0, "told");
        tally.lose(4, &"again");
        tally.lose(5, &"again");
        assert_eq!(tally.lost.load(Ordering::Relaxed), 9, "kept for later");
        tally.arrive();
        assert_eq!(tally.lost.load(Ordering::Relaxed), 0, "told");
        assert!(!tally.failing.load(Ordering::Relaxed));
    }
}
