//! A gRPC service config, which tonic does not support: timeout, retry policy and retry throttling,
//! as in other libraries (gRFC A6).

use std::{collections::HashMap, error::Error as StdError, iter::successors, time::Duration};

use serde::{Deserialize, Deserializer, de::Error, de::IgnoredAny};
use tonic::{Code, Status};

use crate::failure::code_name;

const PUSHBACK: &str = "grpc-retry-pushback-ms";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceConfig {
    #[serde(default)]
    load_balancing_config: Vec<HashMap<String, IgnoredAny>>,
    #[serde(default)]
    method_config: Vec<MethodConfig>,
    pub retry_throttling: Option<RetryThrottling>,
}

impl ServiceConfig {
    /// Whether calls are spread over all addresses of the gateway.
    pub fn spreads_calls(&self) -> bool {
        let mut policies = self.load_balancing_config.iter();
        policies.any(|policy| policy.contains_key("round_robin"))
    }

    /// The configuration of a method, by its HTTP/2 path. An entry for the method takes precedence
    /// over one for its service, and that over one without a name.
    pub fn method(&self, path: &str) -> Option<&MethodConfig> {
        let (service, method) = path.trim_start_matches('/').split_once('/')?;
        let named = |service: &str, method: &str| {
            let wanted = move |it: &Name| it.service == service && it.method == method;
            self.method_config
                .iter()
                .find(|it| it.name.iter().any(wanted))
        };
        named(service, method)
            .or_else(|| named(service, ""))
            .or_else(|| named("", ""))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodConfig {
    name: Vec<Name>,
    #[serde(default, deserialize_with = "optional_duration")]
    pub timeout: Option<Duration>,
    pub retry_policy: Option<RetryPolicy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Name {
    service: String,
    method: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryPolicy {
    max_attempts: u32,
    #[serde(deserialize_with = "duration")]
    initial_backoff: Duration,
    #[serde(deserialize_with = "duration")]
    max_backoff: Duration,
    backoff_multiplier: f64,
    retryable_status_codes: Vec<String>,
}

/// Whether a failed attempt is followed by another one.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// This failure is not one of those that are retried.
    Final,
    /// The maximum number of attempts was reached, or the gateway forbids a retry (-1).
    Never,
    After(Duration),
}

impl RetryPolicy {
    /// What to do after the attempt with this number, counted from 1, has failed before the
    /// response began.
    pub fn next(&self, attempt: u32, status: &Status) -> Next {
        // The gateway's pushback overrides the policy: a time to wait, or an invalid value that
        // means "never".
        let pushback = status.metadata().get(PUSHBACK).map(|value| {
            let millis = value.to_str().ok().and_then(|it| it.parse().ok());
            millis.map(Duration::from_millis)
        });
        if pushback == Some(None) {
            return Next::Never;
        }
        if !self
            .retryable_status_codes
            .contains(&code_name(status.code()))
        {
            return Next::Final;
        }
        if attempt >= self.max_attempts {
            return Next::Never;
        }
        Next::After(pushback.flatten().unwrap_or_else(|| self.backoff(attempt)))
    }

    /// ± 20 %, so that calls that failed together are not retried together.
    fn backoff(&self, attempt: u32) -> Duration {
        let exponent = attempt.saturating_sub(1).min(64) as i32;
        let seconds = self.initial_backoff.as_secs_f64() * self.backoff_multiplier.powi(exponent);
        let seconds = seconds.min(self.max_backoff.as_secs_f64());
        Duration::from_secs_f64(seconds * (0.8 + 0.4 * fastrand::f64()))
    }
}

/// Stops retries if most calls fail.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryThrottling {
    pub max_tokens: f64,
    pub token_ratio: f64,
}

/// Whether the gateway never accepted the call, because its connection was just closing (GOAWAY).
/// This can happen to every call in tonic.
pub fn was_never_taken(status: &Status) -> bool {
    let cause = StdError::source(status);
    let mut causes = successors(cause, |&it| it.source());
    let refused = causes.any(|it| {
        // For calls that the gateway accepted, h2 reports nothing after a GOAWAY: they continue.
        let h2 = it.downcast_ref::<h2::Error>();
        h2.is_some_and(|it| it.is_go_away() && it.is_remote())
    });
    // hyper had not sent it yet. A status from the gateway has no cause.
    refused || (status.code() == Code::Cancelled && cause.is_some())
}

fn duration<'de, D: Deserializer<'de>>(json: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(json)?;
    let seconds = text.strip_suffix('s').and_then(|it| it.parse().ok());
    let duration = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok());
    duration.ok_or_else(|| D::Error::custom(format!("{text:?} is not a duration like \"1.5s\"")))
}

fn optional_duration<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Duration>, D::Error> {
    duration(json).map(Some)
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    const STREAM_INVOKE: &str = "/bedrock.inference.v1.InferenceService/StreamInvoke";

    fn ours() -> ServiceConfig {
        serde_json::from_str(include_str!("../../service_config.json")).unwrap()
    }

    fn failed(code: Code, pushback: Option<&'static str>) -> Status {
        let mut status = Status::new(code, "");
        if let Some(millis) = pushback {
            let value = MetadataValue::from_static(millis);
            status.metadata_mut().insert(PUSHBACK, value);
        }
        status
    }

    #[test]
    fn the_file_is_understood() {
        let config = ours();
        assert!(config.spreads_calls());
        let method = config.method(STREAM_INVOKE).unwrap();
        assert_eq!(method.timeout, Some(Duration::from_secs(600)));
        let targets = config.method("/bedrock.inference.v1.TargetService/ListTargets");
        assert_eq!(targets.unwrap().timeout, Some(Duration::from_secs(10)));
        assert!(config.method("/grpc.health.v1.Health/Check").is_none());
        assert_eq!(config.retry_throttling.unwrap().max_tokens, 100.0);
    }

    #[test]
    fn the_more_exact_name_goes_first() {
        let json = r#"{"methodConfig": [
            {"name": [{}], "timeout": "3s"},
            {"name": [{"service": "a.B"}], "timeout": "2s"},
            {"name": [{"service": "a.B", "method": "C"}], "timeout": "1.5s"}
        ]}"#;
        let config: ServiceConfig = serde_json::from_str(json).unwrap();
        let timeout = |path| config.method(path).unwrap().timeout.unwrap().as_millis();
        assert_eq!(
            ["/a.B/C", "/a.B/D", "/a.E/C"].map(timeout),
            [1500, 2000, 3000]
        );
    }

    #[test]
    fn the_gateways_word_goes_before_the_policys() {
        let config = ours();
        let policy = config.method(STREAM_INVOKE).unwrap();
        let next = |attempt, code, pushback| {
            let policy = policy.retry_policy.as_ref().unwrap();
            policy.next(attempt, &failed(code, pushback))
        };
        let second = Next::After(Duration::from_secs(1));
        assert_eq!(next(1, Code::Unavailable, Some("1000")), second);
        assert_eq!(next(1, Code::Unavailable, Some("-1")), Next::Never);
        assert_eq!(next(3, Code::Unavailable, Some("1000")), Next::Never);
        assert_eq!(next(1, Code::ResourceExhausted, Some("1000")), Next::Final);
        for (attempt, millis) in [(1, 160..=240), (2, 320..=480)] {
            let Next::After(wait) = next(attempt, Code::Unavailable, None) else {
                panic!("no wait");
            };
            assert!(millis.contains(&wait.as_millis()), "{wait:?}");
        }
    }
}
