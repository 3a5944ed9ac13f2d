//! Calls InvokeModelWithResponseStream for `StreamInvokeModel`: each chunk becomes a message.
//!
//! An answer is complete when a chunk contains Bedrock's metrics (the last chunk does), or the end
//! marker of the model's own format. From other chunks, the gateway reads only token counts.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    failure::{truncated, unreadable},
    native_chunk::{INVOCATION_METRICS, NativeChunk},
    native_usage::{self, Counts, InvocationMetrics},
    operation::{AnswerOrigin, Counted, Operation, Outgoing},
    report::CallReport,
};
use crate::{
    aws::NativeFormat,
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
    answers: NativeAnswers,
    queue: VecDeque<Outgoing<StreamInvokeModelResponse>>,
    head: ModelHead,
    counts: Counts,
    metrics: Option<InvocationMetrics>,
    /// The metadata with the cost of the call, after the usage has been recorded.
    recorded: Option<MetadataEvent>,
    is_complete: bool,
    is_finished: bool,
}

/// What the gateway knows about answers in the models' own formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NativeAnswers {
    /// The format, if it is known and the same for all models that may answer. Otherwise, the first
    /// chunk may show it.
    pub(crate) format: Option<NativeFormat>,
    /// Whether the gateway can recognize the end of a stream. If so, an answer without that end is
    /// truncated. If not, the end of Bedrock's response completes the answer.
    pub(crate) have_end: bool,
}

impl Native {
    /// Begins a call.
    pub(crate) fn new(options: ModelOptions, answers: NativeAnswers) -> Self {
        Self {
            options: Arc::new(options),
            answers,
            ..Self::default()
        }
    }

    /// Handles the end markers and the token counts of a chunk.
    fn read(&mut self, chunk: &NativeChunk, report: Option<&mut CallReport>) {
        let mut counts = chunk.counts;
        if let Some(begun) = chunk.begins {
            self.answers.have_end = true;
            self.answers.format.get_or_insert(begun);
            // The first count of output tokens is a placeholder: the answer is not written yet.
            counts = counts.of_input();
        }
        self.is_complete |= chunk.completes(self.answers.format);
        // The counts of a chunk are totals of the answer so far, so they replace earlier counts.
        self.counts = counts.or(self.counts);
        if let Some(metrics) = chunk.metrics {
            self.counts = Counts::from(metrics).or(self.counts);
            self.metrics = Some(metrics);
            if self.usage_is_known() {
                self.record(report);
            }
        }
    }

    /// Returns whether the chunks so far contain the usage of the whole answer. Every model that
    /// streams writes text, so its output tokens are a part of the usage.
    fn usage_is_known(&self) -> bool {
        self.counts.has_output() && self.counts.usage().is_some()
    }

    /// Records the usage, if there is a report.
    fn record(&mut self, report: Option<&mut CallReport>) {
        if let Some(report) = report {
            self.recorded = report.metadata(self.metadata());
        }
    }

    fn metadata(&self) -> MetadataEvent {
        let counts = if self.usage_is_known() {
            self.counts
        } else {
            Counts::default()
        };
        let mut metadata = native_usage::metadata(counts, &self.head);
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

    fn begin(&mut self, head: ModelHead, origin: AnswerOrigin) {
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
        let read = NativeChunk::read(&bytes);
        Ok(Decoded::Chunk(Chunk { bytes, read }))
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
                self.read(&chunk.read, report);
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
        self.read(&chunk.read, Some(report));
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
        if self.answers.have_end && !self.is_complete {
            let marker = self.answers.format.and_then(NativeFormat::end_marker);
            let marker = marker.map_or_else(String::new, |marker| {
                format!(" or {}", marker.value.unwrap_or(marker.member))
            });
            return Err(truncated(&format!("{INVOCATION_METRICS}{marker}")));
        }
        self.is_complete = true;
        Ok(())
    }

    fn finish(&mut self, report: Option<&mut CallReport>) {
        if self.recorded.is_none() && self.usage_is_known() {
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
pub(crate) struct Chunk {
    bytes: Bytes,
    read: NativeChunk,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads these chunks. Returns the usage, and whether the stream may end after them.
    fn read(format: Option<NativeFormat>, chunks: &[&str]) -> (Option<(i32, i32)>, bool) {
        let answers = NativeAnswers {
            format,
            have_end: format.is_some(),
        };
        let mut native = Native::new(ModelOptions::default(), answers);
        for chunk in chunks {
            native.read(&NativeChunk::read(chunk.as_bytes()), None);
        }
        let usage = native.metadata().metadata.and_then(|known| known.usage);
        let usage = usage.map(|usage| (usage.input_tokens(), usage.output_tokens()));
        (usage, native.end().is_ok())
    }

    #[test]
    fn each_format_has_its_end_and_its_counts() {
        use NativeFormat::{Anthropic, Chat, CohereCommand, Llama, Nova, TitanText};

        let start =
            r#"{"type":"message_start","message":{"usage":{"input_tokens":7,"output_tokens":1}}}"#;
        let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#;
        let stop = r#"{"type":"message_stop"}"#;
        let metrics =
            r#"{"amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":4}}"#;
        let text = r#"{"outputs":[{"text":"a"}]}"#;
        for (format, chunks, usage, may_end) in [
            // The first count of output tokens is a placeholder.
            (None, &[start][..], None, false),
            (Some(Anthropic), &[start, stop], None, true),
            (
                Some(Anthropic),
                &[
                    start,
                    r#"{"type":"message_stop","amazon-bedrock-invocationMetrics":{}}"#,
                ],
                None,
                true,
            ),
            (None, &[start, delta], Some((7, 9)), false),
            (None, &[start, delta, stop], Some((7, 9)), true),
            (None, &[start, delta, metrics], Some((3, 4)), true),
            // A value that is not a count does not affect the others.
            (
                Some(Anthropic),
                &[
                    start,
                    delta,
                    r#"{"amazon-bedrock-invocationMetrics":{"inputTokenCount":3,"outputTokenCount":"4","x":1e400}}"#,
                ],
                Some((3, 9)),
                true,
            ),
            (Some(Chat), &[text], None, false),
            (Some(Chat), &[text, metrics], Some((3, 4)), true),
            (None, &[text], None, true),
            (
                Some(TitanText),
                &[r#"{"completionReason":null}"#],
                None,
                false,
            ),
            (
                Some(TitanText),
                &[
                    r#"{"inputTextTokenCount":5,"totalOutputTextTokenCount":6,"completionReason":"FINISH"}"#,
                ],
                Some((5, 6)),
                true,
            ),
            (
                Some(Llama),
                &[
                    r#"{"prompt_token_count":5}"#,
                    r#"{"generation_token_count":2,"stop_reason":"stop"}"#,
                ],
                Some((5, 2)),
                true,
            ),
            (
                Some(CohereCommand),
                &[r#"{"is_finished":false,"text":"a"}"#],
                None,
                false,
            ),
            (
                Some(CohereCommand),
                &[r#"{"is_finished":true}"#],
                None,
                true,
            ),
            (
                None,
                &[r#"{"messageStart":{"role":"assistant"}}"#],
                None,
                false,
            ),
            (
                Some(Nova),
                &[
                    r#"{"messageStop":{}}"#,
                    r#"{"metadata":{"usage":{"inputTokens":1,"outputTokens":2}}}"#,
                ],
                Some((1, 2)),
                true,
            ),
            (
                Some(Chat),
                &[
                    r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
                    metrics,
                ],
                Some((3, 4)),
                true,
            ),
            // The markers of other formats are content.
            (
                Some(Chat),
                &[r#"{"stop_reason":"stop","messageStop":{}}"#],
                None,
                false,
            ),
            (Some(Llama), &[stop, r#"{"is_finished":true}"#], None, false),
            (Some(Anthropic), &[r#"{"stop_reason":"stop"}"#], None, false),
            (
                Some(Chat),
                &["not JSON", "[]", r#"{"type":7}"#],
                None,
                false,
            ),
        ] {
            assert_eq!(
                read(format, chunks),
                (usage, may_end),
                "{format:?} {chunks:?}"
            );
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
