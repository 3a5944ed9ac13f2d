//! Calls InvokeModelWithResponseStream for `StreamInvokeModel`: each chunk becomes a message.
//!
//! An answer is complete when a chunk contains Bedrock's metrics (the last chunk does), or the end
//! marker of the model's own format. From other chunks, the gateway reads only token counts.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    failure::{truncated, unreadable},
    native_usage::{self, Counts, InvocationMetrics},
    operation::{Counted, Operation, Origin, Outgoing},
    report::CallReport,
};
use crate::{
    bedrock::{self, Bedrock, BedrockEvent, ModelHead, ModelOptions, RequestBody},
    error::Failure,
    pb::{
        self, ConverseStreamMetrics, MetadataEvent, ModelStreamStartEvent,
        StreamInvokeModelResponse, stream_invoke_model_response::Event,
    },
    routing::Route,
    translate,
};

/// The type of events that contain a chunk.
const CHUNK: &str = "chunk";

/// A call of InvokeModelWithResponseStream.
#[derive(Default)]
pub(crate) struct Native {
    options: Arc<ModelOptions>,
    /// Whether the gateway can recognize the end of the answer. If so, an answer without that end
    /// is truncated. If not, the end of Bedrock's response completes the answer.
    has_end: bool,
    queue: VecDeque<Outgoing<StreamInvokeModelResponse>>,
    head: ModelHead,
    counts: Counts,
    metrics: Option<InvocationMetrics>,
    /// The metadata with the cost of the call, after the usage has been recorded.
    recorded: Option<MetadataEvent>,
    is_complete: bool,
    is_finished: bool,
}

impl Native {
    /// Begins a call. `has_end` is true if the gateway recognizes the end of the answer in the
    /// formats of all models that may answer.
    pub(crate) fn new(options: ModelOptions, has_end: bool) -> Self {
        Self {
            options: Arc::new(options),
            has_end,
            ..Self::default()
        }
    }

    /// Handles the end markers and the token counts of a chunk.
    fn read(&mut self, chunk: &Chunk, report: Option<&mut CallReport>) {
        self.has_end |= chunk.is_start;
        self.is_complete |= chunk.is_end;
        // The counts of a chunk are totals of the answer so far, so they replace earlier counts.
        self.counts = chunk.counts.or(self.counts);
        if let Some(metrics) = chunk.metrics {
            self.counts = Counts::from(metrics).or(self.counts);
            self.metrics = Some(metrics);
            if self.counts.usage().is_some() {
                self.record(report);
            }
        }
    }

    /// Records the usage, if there is a report.
    fn record(&mut self, report: Option<&mut CallReport>) {
        if let Some(report) = report {
            self.recorded = report.metadata(self.metadata());
        }
    }

    fn metadata(&self) -> MetadataEvent {
        let mut metadata = native_usage::metadata(self.counts, &self.head);
        metadata.metrics = self.metrics.and_then(|metrics| {
            metrics
                .invocation_latency
                .map(|latency| ConverseStreamMetrics {
                    latency_ms: Some(latency),
                })
        });
        MetadataEvent {
            metadata: Some(metadata),
            ..MetadataEvent::default()
        }
    }

    fn add(&mut self, event: Event, deltas: u64) {
        self.queue.push_back(Outgoing {
            message: StreamInvokeModelResponse { event: Some(event) },
            deltas,
        });
    }
}

impl Operation for Native {
    type Message = StreamInvokeModelResponse;
    type Settings = Arc<ModelOptions>;
    type Head = ModelHead;
    type Decoded = Decoded;

    fn settings(&self) -> Arc<ModelOptions> {
        Arc::clone(&self.options)
    }

    async fn open(
        bedrock: Bedrock,
        route: Arc<Route>,
        options: Arc<ModelOptions>,
        body: RequestBody,
    ) -> Result<(bedrock::Opened, ModelHead), Failure> {
        bedrock
            .open_model(&route.source_region, &route.model_id, &options, body)
            .await
    }

    fn begin(&mut self, head: ModelHead, origin: Origin) {
        let start = ModelStreamStartEvent {
            content_type: head.content_type.clone(),
            target: Some(origin.target),
            request_id: origin.request_id.as_ref().to_owned(),
            bedrock_request_id: origin.bedrock_request_id,
            attempts: origin.attempts,
        };
        self.head = head;
        self.add(Event::Start(start), 0);
    }

    fn decode(event: &BedrockEvent) -> Result<Decoded, Failure> {
        if event.event_type != CHUNK {
            let unknown = translate::event::unknown(&event.event_type, &event.payload);
            return Ok(Decoded::Unknown(unknown));
        }
        let bytes = decode(&event.payload).map_err(|why| unreadable(&event.event_type, &why))?;
        Ok(Decoded::Chunk(Chunk::read(bytes)))
    }

    fn take(&mut self, event: Decoded, at: Instant, mut report: Option<&mut CallReport>) {
        match event {
            Decoded::Unknown(unknown) => {
                if let Some(report) = report {
                    report.unknown(&unknown);
                }
                self.add(Event::Unknown(unknown), 0);
            }
            Decoded::Chunk(chunk) => {
                if let Some(report) = report.as_deref_mut() {
                    report.output(chunk.bytes.len());
                    report.token(at);
                }
                self.read(&chunk, report);
                self.add(Event::Chunk(chunk.bytes), 1);
            }
        }
    }

    fn count(&mut self, event: Decoded, report: &mut CallReport) -> Counted {
        let Decoded::Chunk(chunk) = event else {
            return Counted::Other;
        };
        report.output(chunk.bytes.len());
        let was_complete = self.is_complete;
        self.read(&chunk, Some(report));
        if self.is_complete && !was_complete {
            Counted::Complete
        } else {
            Counted::Delta
        }
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }

    fn end(&mut self) -> Result<(), Failure> {
        if self.has_end && !self.is_complete {
            return Err(truncated(
                "amazon-bedrock-invocationMetrics or message_stop",
            ));
        }
        self.is_complete = true;
        Ok(())
    }

    fn finish(&mut self, report: Option<&mut CallReport>) {
        if self.recorded.is_none() && self.counts.usage().is_some() {
            self.record(report);
        }
        let metadata = self.recorded.take().unwrap_or_else(|| self.metadata());
        self.add(Event::Metadata(metadata), 0);
        self.is_finished = true;
    }

    fn next(&mut self) -> Option<Outgoing<StreamInvokeModelResponse>> {
        self.queue.pop_front()
    }

    fn heartbeat(event: pb::HeartbeatEvent) -> StreamInvokeModelResponse {
        StreamInvokeModelResponse {
            event: Some(Event::Heartbeat(event)),
        }
    }
}

/// An event after it was decoded.
pub(crate) enum Decoded {
    Chunk(Chunk),
    /// An event of another type.
    Unknown(pb::UnknownEvent),
}

/// A part of the answer, and what the gateway reads from it.
#[derive(Default)]
pub(crate) struct Chunk {
    bytes: Bytes,
    /// Whether it begins an answer whose format has an end marker.
    is_start: bool,
    /// Whether it completes the answer.
    is_end: bool,
    counts: Counts,
    metrics: Option<InvocationMetrics>,
}

impl Chunk {
    /// Reads the end markers and the token counts of a chunk.
    fn read(bytes: Bytes) -> Self {
        let Ok(marks) = serde_json::from_slice::<Marks>(&bytes) else {
            return Self {
                bytes,
                ..Self::default()
            };
        };
        Self {
            is_start: marks.is_start(),
            is_end: marks.is_end(),
            counts: if marks.has_counts() {
                Counts::of_json(&bytes)
            } else {
                Counts::default()
            },
            metrics: marks
                .metrics
                .map(|metrics| serde_json::from_value(metrics).unwrap_or_default()),
            bytes,
        }
    }
}

/// The payload of an event that contains a chunk.
#[derive(Deserialize)]
struct Payload<'p> {
    #[serde(borrow)]
    bytes: Text<'p>,
}

/// A string that is borrowed from the payload if it has no escapes.
#[derive(Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

/// Returns the bytes of a chunk.
fn decode(payload: &[u8]) -> Result<Bytes, String> {
    let payload: Payload<'_> = serde_json::from_slice(payload)
        .map_err(|_| "it is not an object with the member `bytes`".to_owned())?;
    let bytes = STANDARD.decode(payload.bytes.0.as_bytes());
    let bytes = bytes.map_err(|error| format!("its bytes are not base64: {error}"))?;
    Ok(bytes.into())
}

/// The members of a chunk that mark the start or the end of the answer, or that contain token
/// counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Marks {
    /// The type of the chunk, in Anthropic's format.
    r#type: Option<Value>,
    /// In Amazon Nova's format.
    #[serde(rename = "messageStart")]
    nova_start: Option<IgnoredAny>,
    #[serde(rename = "messageStop")]
    nova_stop: Option<IgnoredAny>,
    /// In Amazon Titan's format.
    #[serde(rename = "completionReason")]
    titan_stop: Option<IgnoredAny>,
    #[serde(rename = "inputTextTokenCount")]
    titan_count: Option<IgnoredAny>,
    /// In Meta's format.
    stop_reason: Option<IgnoredAny>,
    prompt_token_count: Option<IgnoredAny>,
    generation_token_count: Option<IgnoredAny>,
    /// In the formats of several providers.
    usage: Option<IgnoredAny>,
    message: Option<IgnoredAny>,
    metadata: Option<IgnoredAny>,
    /// Added by Bedrock, in all formats.
    #[serde(rename = "amazon-bedrock-invocationMetrics")]
    metrics: Option<Value>,
}

impl Marks {
    /// Returns whether the chunk begins an answer whose format has an end marker.
    fn is_start(&self) -> bool {
        self.nova_start.is_some() || self.has_type("message_start")
    }

    /// Returns whether the chunk completes the answer.
    fn is_end(&self) -> bool {
        self.metrics.is_some()
            || self.has_type("message_stop")
            || self.nova_stop.is_some()
            || self.titan_stop.is_some()
            || self.stop_reason.is_some()
    }

    fn has_type(&self, name: &str) -> bool {
        self.r#type.as_ref().is_some_and(|it| it == name)
    }

    fn has_counts(&self) -> bool {
        self.usage.is_some()
            || self.message.is_some()
            || self.metadata.is_some()
            || self.titan_count.is_some()
            || self.prompt_token_count.is_some()
            || self.generation_token_count.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads these chunks. Returns the usage, and whether the stream may end after them.
    fn read(has_end: bool, chunks: &[&str]) -> (Option<(i32, i32)>, bool) {
        let mut native = Native::new(ModelOptions::default(), has_end);
        for chunk in chunks {
            native.read(&Chunk::read(chunk.to_string().into()), None);
        }
        let usage = native.counts.usage();
        let usage = usage.map(|usage| (usage.input_tokens(), usage.output_tokens()));
        (usage, native.end().is_ok())
    }

    #[test]
    fn each_format_has_its_end_and_its_counts() {
        let start =
            r#"{"type":"message_start","message":{"usage":{"input_tokens":7,"output_tokens":1}}}"#;
        let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#;
        let metrics =
            r#"{"amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":4}}"#;
        for (has_end, chunks, usage, may_end) in [
            (false, &[start][..], Some((7, 1)), false),
            (false, &[start, delta], Some((7, 9)), false),
            (
                false,
                &[start, delta, r#"{"type":"message_stop"}"#],
                Some((7, 9)),
                true,
            ),
            (false, &[start, delta, metrics], Some((3, 4)), true),
            (true, &[r#"{"outputs":[{"text":"a"}]}"#], None, false),
            (
                true,
                &[r#"{"outputs":[{"text":"a"}]}"#, metrics],
                Some((3, 4)),
                true,
            ),
            (false, &[r#"{"outputs":[{"text":"a"}]}"#], None, true),
            (true, &[r#"{"completionReason":null}"#], None, false),
            (
                true,
                &[
                    r#"{"inputTextTokenCount":5,"totalOutputTextTokenCount":6,"completionReason":"FINISH"}"#,
                ],
                Some((5, 6)),
                true,
            ),
            (
                true,
                &[
                    r#"{"prompt_token_count":5}"#,
                    r#"{"generation_token_count":2,"stop_reason":"stop"}"#,
                ],
                Some((5, 2)),
                true,
            ),
            (
                false,
                &[r#"{"messageStart":{"role":"assistant"}}"#],
                None,
                false,
            ),
            (
                false,
                &[
                    r#"{"messageStop":{}}"#,
                    r#"{"metadata":{"usage":{"inputTokens":1,"outputTokens":2}}}"#,
                ],
                Some((1, 2)),
                true,
            ),
            (true, &["not JSON", "[]", r#"{"type":7}"#], None, false),
        ] {
            assert_eq!(read(has_end, chunks), (usage, may_end), "{chunks:?}");
        }
    }

    #[test]
    fn chunks_are_decoded_and_nothing_else_is_accepted() {
        assert_eq!(decode(br#"{"p":"ab","bytes":"aGk="}"#).unwrap(), "hi");
        assert_eq!(decode(br#"{"bytes":"\/\/8="}"#).unwrap(), &b"\xff\xff"[..]);
        for wrong in [&b"{}"[..], b"[]", br#"{"bytes":"a"}"#, br#"{"bytes":1}"#] {
            decode(wrong).unwrap_err();
        }
    }
}
