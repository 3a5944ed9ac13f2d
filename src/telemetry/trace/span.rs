//! Sets the attributes of spans. Spans never contain prompts or answers. They do not contain
//! Bedrock's messages either, because these may quote prompts.

use std::time::{Duration, SystemTime};

use opentelemetry::{
    Array, InstrumentationScope, KeyValue, StringValue, Value,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tokio::time::Instant;

use super::{TraceContext, attribute};

const PACKAGE: &str = "bedrock.inference.v1";
/// The maximum number and size of stop sequences in a span. They are limited because spans are kept
/// in memory.
const MOST_STOP_SEQUENCES: usize = 8;
const MOST_STOP_CHARS: usize = 64;

/// A call that has ended, recorded as the span of an RPC server.
#[derive(Debug)]
pub struct CallSpan<'a> {
    /// The method's name, such as `StreamInvoke`.
    pub method: &'static str,
    /// The alias, or `raw`.
    pub target: &'a str,
    /// The request ID of the call.
    pub request_id: &'a str,
    /// The name of the caller. Empty if it is not identified.
    pub caller: &'a str,
    /// The gRPC code, such as `OK` or `UNAVAILABLE`.
    pub code: &'static str,
    /// The reason in ErrorInfo. Empty for OK.
    pub reason: &'static str,
    /// The number of attempts.
    pub attempts: usize,
    /// The end of the span.
    pub ended: Instant,
}

/// The Bedrock operation that an attempt calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// ConverseStream.
    Chat,
    /// CountTokens.
    CountTokens,
    /// ApplyGuardrail, which does not call the model of its route.
    ApplyGuardrail,
    /// InvokeModel.
    InvokeModel,
    /// InvokeModelWithResponseStream.
    StreamInvokeModel,
}

impl Operation {
    /// Returns the operation that a method of the API calls at Bedrock.
    pub fn of(method: &str) -> Self {
        match method {
            "CountTokens" => Self::CountTokens,
            "ApplyGuardrail" => Self::ApplyGuardrail,
            "InvokeModel" => Self::InvokeModel,
            "StreamInvokeModel" => Self::StreamInvokeModel,
            _ => Self::Chat,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Chat => attribute::CHAT,
            Self::CountTokens => attribute::COUNT_TOKENS,
            Self::ApplyGuardrail => attribute::APPLY_GUARDRAIL,
            Self::InvokeModel | Self::StreamInvokeModel => attribute::INVOKE_MODEL,
        }
    }
}

/// An attempt that has ended, recorded as the span of a generative AI client.
#[derive(Debug)]
pub struct AttemptSpan<'a> {
    /// The operation that the attempt called.
    pub operation: Operation,
    /// The alias, or `raw`.
    pub target: &'a str,
    /// The request ID of the call.
    pub request_id: &'a str,
    /// The model ID.
    pub model_id: &'a str,
    /// The source Region.
    pub source_region: &'a str,
    /// The AWS account. Empty for the account of the gateway's own identity.
    pub account: &'a str,
    /// The host and port of Bedrock's endpoint, if a request was sent.
    pub server: Option<(&'a str, u16)>,
    /// The parameters of the request.
    pub request: &'a Request,
    /// Bedrock's request ID. Empty if Bedrock did not answer.
    pub bedrock_request_id: &'a str,
    /// The start of the span.
    pub began: Instant,
    /// The end of the span.
    pub ended: Instant,
    /// The time to the first event, if one arrived.
    pub first_event: Option<Duration>,
    /// Bedrock's stop reason. Empty if none has arrived.
    pub stop_reason: &'a str,
    /// The token usage, if it is known.
    pub usage: Option<Usage>,
    /// The reason of the failure. `None` if the attempt did not fail.
    pub failure: Option<&'static str>,
}

/// The parameters of a request. They do not include its messages.
#[derive(Debug, Default)]
pub struct Request {
    /// The maximum number of output tokens.
    pub max_tokens: Option<i32>,
    /// The temperature.
    pub temperature: Option<f64>,
    /// Top-p.
    pub top_p: Option<f64>,
    /// The stop sequences.
    pub stop_sequences: Vec<String>,
    /// The guardrail's ID or ARN.
    pub guardrail: Option<String>,
}

/// The token usage as Bedrock counts it: input tokens do not include cached tokens.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Input tokens.
    pub input: i32,
    /// Output tokens.
    pub output: i32,
    /// Tokens that were read from the cache.
    pub cache_read: i32,
    /// Tokens that were written to the cache.
    pub cache_write: i32,
}

impl CallSpan<'_> {
    pub(super) fn span(
        &self,
        context: &TraceContext,
        began: SystemTime,
        ended: SystemTime,
    ) -> SpanData {
        let service = match self.method {
            "ApplyGuardrail" => "GuardrailService",
            "InvokeModel" | "StreamInvokeModel" => "ModelService",
            _ => "InferenceService",
        };
        let method = format!("{PACKAGE}.{service}/{}", self.method);
        let mut attributes = vec![
            KeyValue::new(attribute::RPC_SYSTEM_NAME, "grpc"),
            KeyValue::new(attribute::RPC_METHOD, method.clone()),
            KeyValue::new(attribute::RPC_RESPONSE_STATUS_CODE, self.code),
            text(attribute::TARGET, self.target),
            text(attribute::REQUEST_ID, self.request_id),
            KeyValue::new(attribute::ATTEMPTS, count(self.attempts)),
        ];
        if !self.reason.is_empty() {
            attributes.push(KeyValue::new(attribute::REASON, self.reason));
        }
        if !self.caller.is_empty() {
            attributes.push(text(attribute::ENDUSER_ID, self.caller));
        }
        let failed = is_servers_fault(self.code);
        if failed {
            attributes.push(KeyValue::new(attribute::ERROR_TYPE, self.code));
        }
        SpanData {
            status: status(failed.then_some(self.reason)),
            parent_span_is_remote: context.parent.is_some(),
            ..span(
                context,
                SpanKind::Server,
                method,
                (began, ended),
                attributes,
            )
        }
    }
}

impl AttemptSpan<'_> {
    pub(super) fn span(
        &self,
        context: &TraceContext,
        began: SystemTime,
        ended: SystemTime,
    ) -> SpanData {
        let mut attributes = vec![
            KeyValue::new(attribute::GEN_AI_OPERATION_NAME, self.operation.name()),
            KeyValue::new(attribute::GEN_AI_PROVIDER_NAME, attribute::AWS_BEDROCK),
            text(attribute::CLOUD_REGION, self.source_region),
            text(attribute::TARGET, self.target),
            text(attribute::REQUEST_ID, self.request_id),
        ];
        let name = if self.operation == Operation::ApplyGuardrail {
            self.operation.name().to_owned()
        } else {
            attributes.push(text(attribute::GEN_AI_REQUEST_MODEL, self.model_id));
            format!("{} {}", self.operation.name(), self.model_id)
        };
        let is_chat = self.operation == Operation::Chat;
        let is_stream = is_chat || self.operation == Operation::StreamInvokeModel;
        if is_stream {
            // `Invoke` also calls ConverseStream, so its requests also stream.
            attributes.push(KeyValue::new(attribute::GEN_AI_REQUEST_STREAM, true));
        }
        if !self.account.is_empty() {
            attributes.push(text(attribute::ACCOUNT, self.account));
        }
        if let Some((address, port)) = self.server {
            attributes.push(text(attribute::SERVER_ADDRESS, address));
            attributes.push(KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
        }
        self.request.add_to(&mut attributes);
        if !self.bedrock_request_id.is_empty() {
            attributes.push(text(attribute::AWS_REQUEST_ID, self.bedrock_request_id));
        }
        let first_event = self.first_event.filter(|_| is_stream);
        if let Some(after) = first_event {
            attributes.push(KeyValue::new(
                attribute::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
                after.as_secs_f64(),
            ));
        }
        if first_event.is_some() && is_chat {
            // An answer without a stop reason is incomplete.
            let finish_reason = match self.stop_reason {
                "" => attribute::FINISH_ERROR,
                reason => reason,
            };
            let reasons = texts([finish_reason.to_owned()]);
            attributes.push(KeyValue::new(
                attribute::GEN_AI_RESPONSE_FINISH_REASONS,
                reasons,
            ));
        }
        if let Some(usage) = self.usage {
            usage.add_to(&mut attributes);
        }
        if let Some(reason) = self.failure {
            attributes.push(KeyValue::new(attribute::ERROR_TYPE, reason));
        }
        SpanData {
            status: status(self.failure),
            ..span(context, SpanKind::Client, name, (began, ended), attributes)
        }
    }
}

impl Request {
    fn add_to(&self, attributes: &mut Vec<KeyValue>) {
        if let Some(max_tokens) = self.max_tokens {
            let max_tokens = i64::from(max_tokens);
            attributes.push(KeyValue::new(
                attribute::GEN_AI_REQUEST_MAX_TOKENS,
                max_tokens,
            ));
        }
        if let Some(temperature) = self.temperature {
            attributes.push(KeyValue::new(
                attribute::GEN_AI_REQUEST_TEMPERATURE,
                temperature,
            ));
        }
        if let Some(top_p) = self.top_p {
            attributes.push(KeyValue::new(attribute::GEN_AI_REQUEST_TOP_P, top_p));
        }
        if !self.stop_sequences.is_empty() {
            let some = self.stop_sequences.iter().take(MOST_STOP_SEQUENCES);
            let short = some.map(|sequence| sequence.chars().take(MOST_STOP_CHARS).collect());
            attributes.push(KeyValue::new(
                attribute::GEN_AI_REQUEST_STOP_SEQUENCES,
                texts(short),
            ));
        }
        if let Some(guardrail) = &self.guardrail {
            attributes.push(text(attribute::AWS_BEDROCK_GUARDRAIL_ID, guardrail));
        }
    }
}

impl Usage {
    fn add_to(self, attributes: &mut Vec<KeyValue>) {
        // In the conventions, input tokens include cached tokens.
        let input = [self.input, self.cache_read, self.cache_write].map(i64::from);
        for (name, tokens) in [
            (attribute::GEN_AI_USAGE_INPUT_TOKENS, input.iter().sum()),
            (
                attribute::GEN_AI_USAGE_OUTPUT_TOKENS,
                i64::from(self.output),
            ),
        ] {
            attributes.push(KeyValue::new(name, tokens));
        }
        for (name, tokens) in [
            (
                attribute::GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
                self.cache_read,
            ),
            (
                attribute::GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS,
                self.cache_write,
            ),
        ] {
            if tokens > 0 {
                attributes.push(KeyValue::new(name, i64::from(tokens)));
            }
        }
    }
}

/// Returns whether the conventions for gRPC count a code as a server error. Other codes are client
/// errors. A cancellation is not an error.
fn is_servers_fault(code: &str) -> bool {
    matches!(
        code,
        "UNKNOWN"
            | "DEADLINE_EXCEEDED"
            | "UNIMPLEMENTED"
            | "INTERNAL"
            | "UNAVAILABLE"
            | "DATA_LOSS"
    )
}

fn status(failure: Option<&'static str>) -> Status {
    failure.map_or(Status::Unset, Status::error)
}

fn span(
    context: &TraceContext,
    span_kind: SpanKind,
    name: String,
    (start_time, end_time): (SystemTime, SystemTime),
    attributes: Vec<KeyValue>,
) -> SpanData {
    let state = context.tracestate().and_then(|state| state.parse().ok());
    SpanData {
        span_context: SpanContext::new(
            context.trace_id,
            context.span_id,
            TraceFlags::SAMPLED,
            false,
            state.unwrap_or_default(),
        ),
        parent_span_id: context.parent.unwrap_or(SpanId::INVALID),
        parent_span_is_remote: false,
        span_kind,
        name: name.into(),
        start_time,
        end_time,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

fn text(name: &'static str, value: &str) -> KeyValue {
    KeyValue::new(name, value.to_owned())
}

fn texts(values: impl IntoIterator<Item = String>) -> Value {
    let values = values.into_iter().map(StringValue::from);
    Value::Array(Array::String(values.collect()))
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
