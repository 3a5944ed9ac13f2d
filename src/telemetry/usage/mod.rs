//! Writes usage records, one for each call of an identified caller, for cost reports and audits.
//!
//! | file | job |
//! |---|---|
//! | `record` | the fields of a record |
//! | `open` | the record of an open call, which is written exactly once |
//! | `writer` | writes records to a sink, with a bounded queue and a thread |
//! | `file` | writes JSON lines to a file or to standard output |
//! | `logs` | sends OTLP logs to a collector |

mod file;
mod logs;
mod open;
mod record;
mod writer;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

pub use open::OpenRecord;
pub use record::{RecordedTokens, RecordedUnits, UsageRecord, UsageSource};

use self::{
    file::{JsonLines, RotatedFile, StandardOutput},
    logs::OtlpLogs,
    writer::{Sink, Writer},
};
use super::{
    metrics::{Metrics, UsageSink},
    trace::TraceId,
};
use crate::config::{Config, RecordFile};

/// How long a shutdown waits for each sink to write its records.
const FLUSH: Duration = Duration::from_secs(3);

/// Writes usage records. Cheap to clone. All clones share the sinks. The default value has no
/// sinks.
#[derive(Clone, Debug, Default)]
pub struct UsageRecords(Option<Arc<[Writer]>>);

/// The facts about a call that are available when its caller is identified.
#[derive(Debug)]
pub struct Identified<'a> {
    /// The request ID of the call.
    pub request_id: &'a Arc<str>,
    /// The ID of the trace.
    pub trace_id: &'a TraceId,
    /// When the call arrived.
    pub arrived: Instant,
    /// The caller's name.
    pub caller: &'a Arc<str>,
    /// The configured groups of the caller.
    pub groups: &'a [Arc<str>],
    /// The path of the call, such as `/bedrock.inference.v1.InferenceService/Invoke`.
    pub path: &'a str,
}

impl UsageRecords {
    /// Starts the sinks of a configuration. Must be called within a Tokio runtime, on which the
    /// connection to the collector runs.
    ///
    /// # Errors
    /// Fails if the collector's address or certificates are invalid, or if a thread cannot be
    /// started. A sink that is not available yet is not an error.
    pub fn start(config: &Config, metrics: &Metrics) -> Result<Self, String> {
        let records = &config.usage_records;
        let mut writers = Vec::new();
        match &records.file {
            None => {}
            Some(RecordFile::Stdout) => {
                let stdout = StandardOutput::open()
                    .map_err(|error| format!("usage_records.file: stdout: {error}"))?;
                writers.push(start(JsonLines::new(stdout), metrics)?);
            }
            Some(RecordFile::Path(path)) => {
                writers.push(start(JsonLines::new(RotatedFile::at(path)), metrics)?);
            }
        }
        if let Some(endpoint) = &records.otlp_endpoint {
            let sink = OtlpLogs::start(endpoint, records, &config.traces)?;
            writers.push(start(sink, metrics)?);
        }
        Ok(Self((!writers.is_empty()).then(|| writers.into())))
    }

    /// Begins the record of a call whose caller is identified. Until its outcome is set, the record
    /// says that the client cancelled the call.
    pub fn open(&self, call: &Identified<'_>) -> Option<OpenRecord> {
        let writers = self.0.as_ref()?;
        let record = UsageRecord {
            time: SystemTime::now() - call.arrived.elapsed(),
            id: fastrand::u128(..),
            request_id: Arc::clone(call.request_id),
            trace_id: call.trace_id.to_string(),
            caller: Arc::clone(call.caller),
            groups: call.groups.to_vec(),
            method: method(call.path),
            target: String::new(),
            model_id: String::new(),
            source_region: String::new(),
            account: Arc::default(),
            project: Arc::default(),
            attempts: 0,
            code: "CANCELLED".to_owned(),
            reason: "CANCELLED".to_owned(),
            stop_reason: String::new(),
            bedrock_request_id: String::new(),
            tokens: RecordedTokens::default(),
            units: RecordedUnits::default(),
            usage: UsageSource::None,
            delivered_output_tokens: 0,
            cost_nano_usd: None,
            duration_ms: 0,
            first_event_ms: None,
        };
        Some(OpenRecord::new(Arc::clone(writers), record, call.arrived))
    }

    /// Writes the queued records, for at most a fixed time. Records of later calls are dropped.
    pub async fn flush(&self) {
        for writer in self.0.iter().flat_map(|writers| writers.iter()) {
            writer.end(FLUSH).await;
        }
    }
}

fn start(sink: impl Sink, metrics: &Metrics) -> Result<Writer, String> {
    let label = UsageSink { sink: sink.name() };
    let written = metrics.usage_records_written.get_or_create_owned(&label);
    let dropped = metrics.usage_records_dropped.get_or_create_owned(&label);
    Writer::start(sink, written, dropped).map_err(|error| format!("usage_records: {error}"))
}

/// The maximum length of a method in a record, in bytes.
const MAX_METHOD: usize = 128;

/// Returns the method of a path. The text is truncated, because callers choose it.
fn method(path: &str) -> String {
    let method = path.strip_prefix('/').unwrap_or(path);
    let end = method.floor_char_boundary(MAX_METHOD);
    method[..end].to_owned()
}
