//! Defines the usage record of one call. It contains no prompts, no answers and no credentials.

use std::{
    fmt::{self, Write as _},
    io::Write as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use time::OffsetDateTime;

use crate::telemetry::json::{Escaped, write_text};

/// The usage record of one call of an identified caller. docs/usage.md describes the fields.
#[derive(Clone, Debug)]
pub struct UsageRecord {
    /// When the call arrived.
    pub time: SystemTime,
    /// An ID that is unique among all records.
    pub id: u128,
    /// The caller's `x-request-id`, or one that the gateway generated.
    pub request_id: Arc<str>,
    /// The ID of the trace.
    pub trace_id: String,
    /// The caller's name.
    pub caller: Arc<str>,
    /// The configured groups of the caller.
    pub groups: Vec<Arc<str>>,
    /// The full name of the method, such as `bedrock.inference.v1.InferenceService/Invoke`.
    pub method: String,
    /// The alias, model ID or ARN that the call named. Empty if the caller may not use it.
    pub target: String,
    /// The model ID of the last attempt's route.
    pub model_id: String,
    /// The source Region of the last attempt's route.
    pub source_region: String,
    /// The AWS account of the last attempt's route. Empty for the gateway's own identity.
    pub account: Arc<str>,
    /// The project of Bedrock, as its ID or ARN. Empty for the default project.
    pub project: Arc<str>,
    /// The number of attempts to call Bedrock.
    pub attempts: usize,
    /// The gRPC code, such as `OK`.
    pub code: String,
    /// The reason in ErrorInfo. Empty for OK.
    pub reason: String,
    /// Bedrock's stop reason. Empty if there was none.
    pub stop_reason: String,
    /// Bedrock's request ID. Empty if Bedrock was not reached.
    pub bedrock_request_id: String,
    /// The tokens that Bedrock billed.
    pub tokens: RecordedTokens,
    /// What Bedrock billed in addition to tokens, or the gateway's upper estimate.
    pub units: RecordedUnits,
    /// The source of the token counts.
    pub usage: UsageSource,
    /// The number of output tokens that the client received. It is exact only for complete answers.
    /// For other answers it is the number of deltas, each of which has at least one token.
    pub delivered_output_tokens: u64,
    /// The cost in 1e-9 US dollars. `None` if the model has no price.
    pub cost_nano_usd: Option<u64>,
    /// The time from the call's arrival to its end, in milliseconds.
    pub duration_ms: u64,
    /// The time from the call's arrival until its first event was sent, in milliseconds.
    pub first_event_ms: Option<u64>,
}

/// The tokens that Bedrock billed for a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordedTokens {
    /// Input tokens, not including cached tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Tokens that were read from the cache.
    pub cache_read_input_tokens: u64,
    /// Tokens that were written to the cache.
    pub cache_write_input_tokens: u64,
}

/// Counts of units, such as `images`, with their names. docs/usage.md describes them.
#[derive(Clone, Debug, Default)]
pub struct RecordedUnits(pub Vec<(&'static str, u64)>);

/// The source of the token counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageSource {
    /// Bedrock billed nothing.
    #[default]
    None,
    /// Bedrock reported the counts.
    Reported,
    /// The counts are the gateway's upper estimate, because Bedrock reported none.
    Estimated,
}

impl UsageSource {
    /// Returns the name in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Reported => "reported",
            Self::Estimated => "estimated",
        }
    }
}

impl UsageRecord {
    /// Appends the record as a line of JSON, including the newline. Members without a value are
    /// left out.
    pub(super) fn write_line(&self, line: &mut Vec<u8>) {
        let mut members = Members(line);
        members.0.extend_from_slice(br#"{"time":""#);
        members.time(self.time);
        members.0.push(b'"');
        members.display("id", format_args!("{:032x}", self.id));
        members.text("request_id", &self.request_id);
        members.text("trace_id", &self.trace_id);
        members.text("caller", &self.caller);
        members.texts("groups", &self.groups);
        members.text("method", &self.method);
        members.text("target", &self.target);
        members.text("model_id", &self.model_id);
        members.text("source_region", &self.source_region);
        members.text("account", &self.account);
        members.text("project", &self.project);
        members.number("attempts", self.attempts as u64);
        members.text("code", &self.code);
        members.text("reason", &self.reason);
        members.text("stop_reason", &self.stop_reason);
        members.text("bedrock_request_id", &self.bedrock_request_id);
        let RecordedTokens {
            input_tokens,
            output_tokens,
            cache_read_input_tokens,
            cache_write_input_tokens,
        } = self.tokens;
        members.number("input_tokens", input_tokens);
        members.number("output_tokens", output_tokens);
        members.number("cache_read_input_tokens", cache_read_input_tokens);
        members.number("cache_write_input_tokens", cache_write_input_tokens);
        members.numbers("units", &self.units.0);
        members.text("usage", self.usage.as_str());
        members.number("delivered_output_tokens", self.delivered_output_tokens);
        if let Some(cost) = self.cost_nano_usd {
            members.number("cost_nano_usd", cost);
        }
        members.number("duration_ms", self.duration_ms);
        if let Some(first_event) = self.first_event_ms {
            members.number("first_event_ms", first_event);
        }
        line.extend_from_slice(b"}\n");
    }
}

/// Writes the members of a JSON object.
struct Members<'a>(&'a mut Vec<u8>);

impl Members<'_> {
    fn name(&mut self, name: &str) {
        self.0.push(b',');
        write_text(self.0, name);
        self.0.push(b':');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        write_text(self.0, value);
    }

    fn texts(&mut self, name: &str, values: &[Arc<str>]) {
        self.name(name);
        self.0.push(b'[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            write_text(self.0, value);
        }
        self.0.push(b']');
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        // Writing to memory cannot fail.
        let _infallible = write!(self.0, "{value}");
    }

    /// Writes numbers with their names as an object, unless there are none.
    fn numbers(&mut self, name: &str, values: &[(&str, u64)]) {
        if values.is_empty() {
            return;
        }
        self.name(name);
        self.0.push(b'{');
        for (index, (name, value)) in values.iter().enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            write_text(self.0, name);
            // Writing to memory cannot fail.
            let _infallible = write!(self.0, ":{value}");
        }
        self.0.push(b'}');
    }

    fn display(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.name(name);
        self.0.push(b'"');
        // Writing to memory cannot fail.
        let _infallible = Escaped(&mut *self.0).write_fmt(value);
        self.0.push(b'"');
    }

    /// Writes a time as RFC 3339, in UTC, with milliseconds.
    fn time(&mut self, time: SystemTime) {
        let time = OffsetDateTime::from(time);
        // Writing to memory cannot fail.
        let _infallible = write!(
            self.0,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            time.year(),
            u8::from(time.month()),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            time.millisecond(),
        );
    }
}

/// Returns a duration in milliseconds.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns an ID as text.
pub(super) fn id_text(id: u128) -> String {
    format!("{id:032x}")
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Returns a record for tests.
    pub(in crate::telemetry::usage) fn record() -> Arc<UsageRecord> {
        Arc::new(UsageRecord {
            time: SystemTime::UNIX_EPOCH + Duration::from_micros(1_500_700),
            id: 0xab,
            request_id: "r".into(),
            trace_id: "t".to_owned(),
            caller: "team-a".into(),
            groups: vec!["g".into(), "h".into()],
            method: "bedrock.inference.v1.InferenceService/Invoke".to_owned(),
            target: "nova".to_owned(),
            model_id: String::new(),
            source_region: String::new(),
            account: Arc::default(),
            project: Arc::default(),
            attempts: 1,
            code: "OK".to_owned(),
            reason: String::new(),
            stop_reason: String::new(),
            bedrock_request_id: String::new(),
            tokens: RecordedTokens::default(),
            units: RecordedUnits(vec![("images", 2)]),
            usage: UsageSource::Reported,
            delivered_output_tokens: 0,
            cost_nano_usd: None,
            duration_ms: 5,
            first_event_ms: None,
        })
    }

    impl UsageRecord {
        /// Returns the line of the record.
        pub(in crate::telemetry::usage) fn line(&self) -> Vec<u8> {
            let mut line = Vec::new();
            self.write_line(&mut line);
            line
        }
    }

    #[test]
    fn a_record_is_one_line_of_json() {
        let text = String::from_utf8(record().line()).unwrap();
        let expected = concat!(
            r#"{"time":"1970-01-01T00:00:01.500Z","id":"000000000000000000000000000000ab","#,
            r#""request_id":"r","trace_id":"t","caller":"team-a","groups":["g","h"],"#,
            r#""method":"bedrock.inference.v1.InferenceService/Invoke","target":"nova","#,
            r#""model_id":"","source_region":"","account":"","project":"","attempts":1,"code":"OK","#,
            r#""reason":"","stop_reason":"","bedrock_request_id":"","input_tokens":0,"#,
            r#""output_tokens":0,"#,
            r#""cache_read_input_tokens":0,"cache_write_input_tokens":0,"#,
            r#""units":{"images":2},"usage":"reported","#,
            r#""delivered_output_tokens":0,"duration_ms":5}"#,
            "\n",
        );
        assert_eq!(text, expected);
    }

    proptest! {
        /// Callers choose some of the texts.
        #[test]
        fn every_text_and_number_can_be_read_again(
            text in any::<String>(),
            number in any::<u64>(),
            cost in any::<Option<u64>>(),
        ) {
            let record = UsageRecord {
                target: text.clone(),
                groups: vec![text.as_str().into(); 2],
                duration_ms: number,
                cost_nano_usd: cost,
                first_event_ms: cost,
                ..UsageRecord::clone(&record())
            };
            let line = record.line();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let value: Value = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(&value["target"], &text);
            prop_assert_eq!(&value["groups"], &serde_json::json!([&text, &text]));
            prop_assert_eq!(value["duration_ms"].as_u64(), Some(number));
            prop_assert_eq!(value.get("cost_nano_usd").and_then(Value::as_u64), cost);
            prop_assert_eq!(value.get("first_event_ms").and_then(Value::as_u64), cost);
        }
    }
}
