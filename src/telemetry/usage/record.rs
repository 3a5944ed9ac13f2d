//! Defines the usage record of one call. It contains no prompts, no answers and no credentials.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// The format of times: RFC 3339, in UTC, with milliseconds.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The usage record of one call of an identified caller. docs/usage.md describes the fields.
#[derive(Clone, Debug, Serialize)]
pub struct UsageRecord {
    /// When the call arrived.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// An ID that is unique among all records.
    #[serde(serialize_with = "hex")]
    pub id: u128,
    /// The caller's `x-request-id`, or one that the gateway generated.
    #[serde(serialize_with = "shared")]
    pub request_id: Arc<str>,
    /// The ID of the trace.
    pub trace_id: String,
    /// The caller's name.
    #[serde(serialize_with = "shared")]
    pub caller: Arc<str>,
    /// The configured groups of the caller.
    #[serde(serialize_with = "shared_list")]
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
    #[serde(serialize_with = "shared")]
    pub account: Arc<str>,
    /// The project of Bedrock, as its ID or ARN. Empty for the default project.
    #[serde(serialize_with = "shared")]
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
    #[serde(flatten)]
    pub tokens: RecordedTokens,
    /// The source of the token counts.
    pub usage: UsageSource,
    /// The number of output tokens that the client received. It is exact only for complete answers.
    /// For other answers it is the number of deltas, each of which has at least one token.
    pub delivered_output_tokens: u64,
    /// The cost in 1e-9 US dollars. `None` if the model has no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nano_usd: Option<u64>,
    /// The time from the call's arrival to its end, in milliseconds.
    pub duration_ms: u64,
    /// The time from the call's arrival until its first event was sent, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_event_ms: Option<u64>,
}

/// The tokens that Bedrock billed for a call.
#[derive(Clone, Copy, Debug, Default, Serialize)]
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

/// The source of the token counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
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
    /// Returns the record as a line of JSON, including the newline.
    pub(super) fn line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
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

fn shared<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn shared_list<S: Serializer>(texts: &[Arc<str>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(texts.iter().map(AsRef::as_ref as fn(&Arc<str>) -> &str))
}

fn hex<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&id_text(*id))
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let text = OffsetDateTime::from(*time)
        .format(TIME)
        .map_err(serde::ser::Error::custom)?;
    serializer.serialize_str(&text)
}

#[cfg(test)]
pub(super) mod tests {
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
            usage: UsageSource::Reported,
            delivered_output_tokens: 0,
            cost_nano_usd: None,
            duration_ms: 5,
            first_event_ms: None,
        })
    }

    #[test]
    fn a_record_is_one_line_of_json() {
        let line = record().line().unwrap();
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.ends_with('\n'));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["time"], "1970-01-01T00:00:01.500Z");
        assert_eq!(value["id"], "000000000000000000000000000000ab");
        assert_eq!(value["groups"], serde_json::json!(["g", "h"]));
        assert_eq!(value["usage"], "reported");
        assert_eq!(value["input_tokens"], 0);
        assert_eq!(value.get("cost_nano_usd"), None);
    }
}
