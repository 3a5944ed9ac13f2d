//! Sends usage records to a collector, as OTLP logs.

use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::{
    InstrumentationScope, Key,
    logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity},
};
use opentelemetry_otlp::{WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tokio::runtime::Handle;

use super::{
    record::{UsageRecord, id_text},
    writer::{Sink, SinkFailure},
};
use crate::{
    config,
    telemetry::otlp::{self, TIMEOUT},
};

/// The name of the event and of the instrumentation scope.
const EVENT: &str = "bedrock_grpc.usage";

/// A sink that sends OTLP logs over gRPC.
pub(super) struct OtlpLogs {
    exporter: opentelemetry_otlp::LogExporter,
    /// Creates empty log records. It has no processor, so it sends nothing.
    logger: SdkLogger,
    scope: InstrumentationScope,
    runtime: Handle,
}

impl OtlpLogs {
    /// Creates the sink. Must be called within a Tokio runtime, on which the connection runs.
    ///
    /// # Errors
    /// Fails if the address or the certificates are invalid.
    pub(super) fn start(
        endpoint: &str,
        records: &config::UsageRecords,
        traces: &config::Traces,
    ) -> Result<Self, String> {
        let headers = otlp::headers(&records.headers);
        let channel = otlp::channel("usage_records", endpoint, records.extra_ca_file.as_deref())?;
        let mut exporter = opentelemetry_otlp::LogExporter::builder()
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
            .map_err(|error| format!("usage_records: {error}"))?;
        exporter.set_resource(&otlp::resource(traces));
        let scope = InstrumentationScope::builder(EVENT).build();
        let provider = SdkLoggerProvider::builder().build();
        Ok(Self {
            exporter,
            logger: provider.logger_with_scope(scope.clone()),
            scope,
            runtime: Handle::current(),
        })
    }

    fn log(&self, record: &UsageRecord) -> SdkLogRecord {
        let mut log = self.logger.create_log_record();
        log.set_event_name(EVENT);
        log.set_timestamp(record.time);
        log.set_observed_timestamp(record.time);
        log.set_severity_number(Severity::Info);
        log.set_severity_text("INFO");
        let text = |text: &str| AnyValue::from(text.to_owned());
        let count = |count: u64| AnyValue::from(i64::try_from(count).unwrap_or(i64::MAX));
        let groups = record.groups.iter().map(|group| text(group));
        let attributes = [
            ("bedrock_grpc.usage.id", text(&id_text(record.id))),
            ("bedrock_grpc.request_id", text(&record.request_id)),
            ("bedrock_grpc.trace_id", text(&record.trace_id)),
            ("enduser.id", text(&record.caller)),
            (
                "bedrock_grpc.groups",
                AnyValue::ListAny(Box::new(groups.collect())),
            ),
            ("rpc.method", text(&record.method)),
            ("rpc.response.status_code", text(&record.code)),
            ("bedrock_grpc.reason", text(&record.reason)),
            ("bedrock_grpc.target", text(&record.target)),
            ("gen_ai.request.model", text(&record.model_id)),
            ("cloud.region", text(&record.source_region)),
            ("bedrock_grpc.account", text(&record.account)),
            ("bedrock_grpc.project", text(&record.project)),
            ("bedrock_grpc.attempts", count(record.attempts as u64)),
            ("gen_ai.response.finish_reasons", text(&record.stop_reason)),
            ("aws.request_id", text(&record.bedrock_request_id)),
            (
                "gen_ai.usage.input_tokens",
                count(record.tokens.input_tokens),
            ),
            (
                "gen_ai.usage.output_tokens",
                count(record.tokens.output_tokens),
            ),
            (
                "gen_ai.usage.cache_read.input_tokens",
                count(record.tokens.cache_read_input_tokens),
            ),
            (
                "gen_ai.usage.cache_write.input_tokens",
                count(record.tokens.cache_write_input_tokens),
            ),
            ("bedrock_grpc.usage.source", text(record.usage.as_str())),
            (
                "bedrock_grpc.usage.delivered_output_tokens",
                count(record.delivered_output_tokens),
            ),
            ("bedrock_grpc.duration_ms", count(record.duration_ms)),
        ];
        // An empty text means that there is no value.
        let is_set = |value: &AnyValue| match value {
            AnyValue::String(text) => !text.as_str().is_empty(),
            _ => true,
        };
        let attributes = attributes.into_iter().filter(|(_, value)| is_set(value));
        log.add_attributes(attributes.map(|(key, value)| (Key::from_static_str(key), value)));
        if !record.units.0.is_empty() {
            let units = record.units.0.iter();
            let units = units.map(|(name, number)| (Key::from_static_str(name), count(*number)));
            let units = AnyValue::Map(Box::new(units.collect()));
            log.add_attribute("bedrock_grpc.usage.units", units);
        }
        if let Some(cost) = record.cost_nano_usd {
            log.add_attribute("bedrock_grpc.usage.cost_nano_usd", count(cost));
        }
        if let Some(first_event) = record.first_event_ms {
            log.add_attribute("bedrock_grpc.first_event_ms", count(first_event));
        }
        log
    }
}

impl Sink for OtlpLogs {
    fn name(&self) -> &'static str {
        "otlp"
    }

    fn write(&mut self, records: &[Arc<UsageRecord>]) -> Result<(), SinkFailure> {
        let logs: Vec<_> = records.iter().map(|record| self.log(record)).collect();
        let batch: Vec<_> = logs.iter().map(|log| (log, &self.scope)).collect();
        let sent = self
            .runtime
            .block_on(self.exporter.export(LogBatch::new(&batch)));
        sent.map_err(|error| SinkFailure {
            written: 0,
            error: error.to_string(),
        })
    }
}
