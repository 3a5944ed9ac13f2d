//! Formats a failure as lines of text.

use std::time::Duration;

use super::{Failure, detail::Detail};
use crate::pb::{Attempt, UpstreamError, UpstreamPhase};

/// Returns the headline, and a line for each further fact.
pub(super) fn of(failure: &Failure) -> (String, Vec<String>) {
    let code = failure.code_name();
    let headline = match failure.reason() {
        Some(reason) => format!("{code} ({reason}): {}", failure.message),
        None => format!("{code}: {}", failure.message),
    };
    let mut lines = Vec::new();
    for detail in &failure.details {
        of_detail(detail, &mut lines);
    }
    (headline, lines)
}

fn of_detail(detail: &Detail, lines: &mut Vec<String>) {
    match detail {
        Detail::ErrorInfo(info) => {
            let mut metadata: Vec<_> = info.metadata.iter().collect();
            metadata.sort_unstable();
            // The phase is printed only for a failure in the middle of an answer. For other
            // failures, the phase is obvious, or the line about Bedrock's error contains it.
            metadata.retain(|(name, value)| *name != "phase" || *value == "mid-stream");
            lines.extend(metadata.iter().map(|(name, value)| match name.as_str() {
                "phase" => "in the middle of the answer".to_owned(),
                name => format!("{name}: {value}"),
            }));
        }
        Detail::RetryInfo(info) => {
            let delay = info.retry_delay.and_then(|delay| delay.try_into().ok());
            lines.extend(delay.map(|delay| format!("try again in {}", seconds(delay))));
        }
        Detail::BadRequest(request) => lines.extend(
            request
                .field_violations
                .iter()
                .map(|violation| format!("{}: {}", violation.field, violation.description)),
        ),
        Detail::QuotaFailure(failure) => {
            lines.extend(failure.violations.iter().map(
                |violation| match violation.subject.as_str() {
                    "" => format!("quota: {}", violation.description),
                    subject => format!("quota {subject}: {}", violation.description),
                },
            ))
        }
        Detail::PreconditionFailure(failure) => {
            lines.extend(failure.violations.iter().map(|violation| {
                format!(
                    "{} {}: {}",
                    violation.r#type, violation.subject, violation.description
                )
            }));
        }
        Detail::ResourceInfo(info) => lines.push(format!(
            "{} {}: {}",
            info.resource_type, info.resource_name, info.description
        )),
        Detail::RequestInfo(info) => lines.push(format!("request ID: {}", info.request_id)),
        Detail::Help(help) => lines.extend(
            help.links
                .iter()
                .map(|link| format!("help: {} {}", link.description, link.url)),
        ),
        Detail::LocalizedMessage(message) => lines.push(message.message.clone()),
        Detail::Upstream(upstream) => of_upstream(upstream, lines),
        Detail::Unknown(any) => lines.push(format!("detail of an unknown type: {}", any.type_url)),
    }
}

fn of_upstream(error: &UpstreamError, lines: &mut Vec<String>) {
    let mut facts = Vec::new();
    if !error.exception.is_empty() {
        facts.push(error.exception.clone());
    }
    if error.http_status != 0 {
        facts.push(format!("HTTP {}", error.http_status));
    }
    if error.original_status_code != 0 {
        facts.push(format!("model status {}", error.original_status_code));
    }
    if !error.resource_name.is_empty() {
        facts.push(format!("resource {}", error.resource_name));
    }
    match error.phase() {
        UpstreamPhase::Unspecified => {}
        UpstreamPhase::Connect => facts.push("before the request was sent".to_owned()),
        UpstreamPhase::BeforeFirstEvent => facts.push("before the first event".to_owned()),
        UpstreamPhase::MidStream => facts.push("in the middle of the answer".to_owned()),
    }
    if !error.bedrock_request_id.is_empty() {
        facts.push(format!("request ID {}", error.bedrock_request_id));
    }
    lines.push(format!("Bedrock: {}", facts.join(", ")));
    if !error.message.is_empty() {
        lines.push(format!("Bedrock said: {}", error.message));
    }
    lines.extend(error.attempts.iter().map(of_attempt));
}

fn of_attempt(attempt: &Attempt) -> String {
    let mut place = format!("{} in {}", attempt.model_id, attempt.source_region);
    if !attempt.account.is_empty() {
        place.push_str(&format!(" of account {}", attempt.account));
    }
    let outcome = match attempt.failure_reason.as_str() {
        "" => "answered",
        reason => reason,
    };
    let duration = attempt.duration.and_then(|time| time.try_into().ok());
    match duration {
        Some(time) => format!("attempt: {place}: {outcome} after {}", seconds(time)),
        None => format!("attempt: {place}: {outcome}"),
    }
}

fn seconds(time: Duration) -> String {
    let milliseconds = time.as_millis();
    if milliseconds < 1_000 {
        format!("{milliseconds} ms")
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
