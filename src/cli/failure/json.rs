//! Formats a failure as JSON, with its details in the format of protobuf's JSON mapping of `Any`.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{Failure, detail::Detail};
use crate::pb::{Attempt, UpstreamError};

pub(super) fn of(failure: &Failure) -> Value {
    let mut error = Map::new();
    error.insert("code".to_owned(), failure.code_name().into());
    if let Some(reason) = failure.reason() {
        error.insert("reason".to_owned(), reason.into());
    }
    error.insert("message".to_owned(), failure.message.as_str().into());
    if let Some(delay) = failure.retry_delay() {
        let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        error.insert("retryDelayMs".to_owned(), milliseconds.into());
    }
    let details: Vec<Value> = failure.details.iter().map(of_detail).collect();
    error.insert("details".to_owned(), details.into());
    json!({ "error": error })
}

fn of_detail(detail: &Detail) -> Value {
    match detail {
        Detail::ErrorInfo(info) => rpc(
            "ErrorInfo",
            json!({ "reason": info.reason, "domain": info.domain, "metadata": info.metadata }),
        ),
        Detail::RetryInfo(info) => rpc(
            "RetryInfo",
            json!({ "retryDelay": info.retry_delay.as_ref().map(duration) }),
        ),
        Detail::BadRequest(request) => {
            let violations = request.field_violations.iter().map(|violation| {
                json!({ "field": violation.field, "description": violation.description })
            });
            rpc("BadRequest", json!({ "fieldViolations": list(violations) }))
        }
        Detail::QuotaFailure(failure) => {
            let violations = failure.violations.iter().map(|violation| {
                json!({ "subject": violation.subject, "description": violation.description })
            });
            rpc("QuotaFailure", json!({ "violations": list(violations) }))
        }
        Detail::PreconditionFailure(failure) => {
            let violations = failure.violations.iter().map(|violation| {
                json!({ "type": violation.r#type, "subject": violation.subject, "description": violation.description })
            });
            rpc(
                "PreconditionFailure",
                json!({ "violations": list(violations) }),
            )
        }
        Detail::ResourceInfo(info) => rpc(
            "ResourceInfo",
            json!({
                "resourceType": info.resource_type,
                "resourceName": info.resource_name,
                "owner": info.owner,
                "description": info.description,
            }),
        ),
        Detail::RequestInfo(info) => rpc(
            "RequestInfo",
            json!({ "requestId": info.request_id, "servingData": info.serving_data }),
        ),
        Detail::Help(help) => {
            let links = help
                .links
                .iter()
                .map(|link| json!({ "description": link.description, "url": link.url }));
            rpc("Help", json!({ "links": list(links) }))
        }
        Detail::LocalizedMessage(message) => rpc(
            "LocalizedMessage",
            json!({ "locale": message.locale, "message": message.message }),
        ),
        Detail::Upstream(error) => of_upstream(error),
        Detail::Unknown(any) => {
            json!({ "@type": any.type_url, "value": STANDARD.encode(&any.value) })
        }
    }
}

fn of_upstream(error: &UpstreamError) -> Value {
    json!({
        "@type": "type.googleapis.com/bedrock.inference.v1.UpstreamError",
        "exception": error.exception,
        "httpStatus": error.http_status,
        "bedrockRequestId": error.bedrock_request_id,
        "phase": error.phase().as_str_name(),
        "retryable": error.retryable,
        "message": error.message,
        "originalStatusCode": error.original_status_code,
        "resourceName": error.resource_name,
        "attempts": list(error.attempts.iter().map(of_attempt)),
    })
}

fn of_attempt(attempt: &Attempt) -> Value {
    json!({
        "modelId": attempt.model_id,
        "sourceRegion": attempt.source_region,
        "account": attempt.account,
        "failureReason": attempt.failure_reason,
        "bedrockRequestId": attempt.bedrock_request_id,
        "duration": attempt.duration.as_ref().map(duration),
    })
}

/// Returns a google.rpc message as JSON. The member `@type` contains its type.
fn rpc(name: &str, mut members: Value) -> Value {
    members["@type"] = format!("type.googleapis.com/google.rpc.{name}").into();
    members
}

fn list(values: impl Iterator<Item = Value>) -> Value {
    values.collect()
}

/// Formats a duration as in protobuf's JSON mapping, such as `1.500000000s`.
fn duration(duration: &prost_types::Duration) -> String {
    duration.to_string()
}
