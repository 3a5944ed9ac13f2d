//! Converts errors from Bedrock, and errors of the connection to it, into [`Failure`]s.
//!
//! | module | job |
//! |---|---|
//! | `reason` | maps Bedrock's error names and messages to a [`Reason`] |
//! | `body` | reads the JSON of an error |
//! | `call` | converts errors before a stream begins: HTTP, credentials, connections |
//! | `retry_delay` | reads the retry delay from a response |

mod body;
mod call;
mod reason;
mod retry_delay;

use std::fmt;

use body::ErrorBody;
pub(super) use call::{find, is_rejection, of_call, of_no_response, of_response};

use super::frame::{CorruptFrame, Frame};
use crate::{
    aws::{without_hosts, without_internals},
    error::{Failure, Phase, Reason, Upstream},
};

/// Returns the failure for an invalid source Region.
pub(super) fn no_region(name: &str) -> Failure {
    let name: String = name.chars().take(64).collect();
    let hint = "set one such as us-east-1 in the target, its ARN, the configuration or AWS_REGION";
    Failure::new(
        Reason::InvalidRequest,
        format!("{name:?} is not an AWS Region: {hint}"),
    )
}

/// Returns the failure for an account that is not configured any more.
pub(super) fn no_account(name: &str) -> Failure {
    Failure::new(
        Reason::Internal,
        format!("there is no AWS account `{name}` in the gateway's configuration"),
    )
}

/// Converts an exception or error frame in the stream.
pub(super) fn of_message(message: &Frame, request_id: &str) -> Failure {
    let name = reason::normal_name(&String::from_utf8_lossy(&message.name));
    if *message.message_type != *b"exception" && *message.message_type != *b"error" {
        let kind = String::from_utf8_lossy(&message.message_type);
        return corrupt(
            &format_args!("a frame of the unknown type {kind:?}"),
            request_id,
        );
    }
    let body = ErrorBody::read(&message.payload);
    let text = match message.error_message.as_ref() {
        [] => body.message,
        error_message => String::from_utf8_lossy(error_message).into_owned(),
    };
    let upstream = Upstream {
        exception: name,
        message: text,
        http_status: None,
        request_id: request_id.to_owned(),
        original_status: body.original_status,
        resource_name: body.resource_name.unwrap_or_default(),
    };
    of_upstream(upstream)
}

/// Returns the failure for a malformed frame.
pub(super) fn of_corruption(cause: &CorruptFrame, request_id: &str) -> Failure {
    corrupt(cause, request_id)
}

fn corrupt(cause: &dyn fmt::Display, request_id: &str) -> Failure {
    in_transit(
        Reason::UpstreamCorrupt,
        format!("Bedrock's stream is corrupt: {cause}"),
        request_id,
    )
}

/// Returns the failure for a stream that ended inside a frame, or whose connection broke.
pub(super) fn of_cut(cause: &dyn fmt::Display, request_id: &str) -> Failure {
    in_transit(
        Reason::UpstreamTruncated,
        "Bedrock's stream ended early".to_owned(),
        request_id,
    )
    .with_detail(cause)
}

/// Returns the failure for an answer that is larger than any answer of Bedrock.
pub(super) fn too_long(most: usize, request_id: &str) -> Failure {
    in_transit(
        Reason::UpstreamCorrupt,
        format!("the answer from Bedrock's endpoint is larger than {most} bytes"),
        request_id,
    )
}

fn in_transit(reason: Reason, message: String, request_id: &str) -> Failure {
    let upstream = Upstream {
        request_id: request_id.to_owned(),
        ..Upstream::default()
    };
    Failure::new(reason, message)
        .in_phase(Phase::BeforeFirstEvent)
        .with_upstream(upstream)
}

/// Returns whether a successful response can be Bedrock's answer to an operation without events.
/// Such an answer has the status 200 and a content type, and is not a web page.
pub(super) fn is_answer(http_status: u16, content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_page = media_type.eq_ignore_ascii_case("text/html");
    http_status == 200 && !media_type.is_empty() && !is_page
}

/// Returns the failure for a successful response that is not Bedrock's answer to this operation.
pub(super) fn not_an_answer(
    operation: &str,
    http_status: u16,
    content_type: &str,
    request_id: &str,
) -> Failure {
    let what = format!("not one of {operation}");
    not_of_bedrock(&what, http_status, content_type, request_id)
}

/// Converts a successful response that is not an answer of CountTokens.
pub(super) fn not_a_count(http_status: u16, content_type: &str, request_id: &str) -> Failure {
    not_of_bedrock(
        "not one of CountTokens",
        http_status,
        content_type,
        request_id,
    )
}

/// Returns the failure for a successful response that is not an event stream.
pub(super) fn not_a_stream(http_status: u16, content_type: &str, request_id: &str) -> Failure {
    not_of_bedrock("not an event stream", http_status, content_type, request_id)
}

/// Returns the failure for a successful response that Bedrock did not send: a proxy or load
/// balancer answered instead, or the endpoint's URL is wrong.
fn not_of_bedrock(what: &str, http_status: u16, content_type: &str, request_id: &str) -> Failure {
    let upstream = Upstream {
        http_status: Some(http_status),
        request_id: request_id.to_owned(),
        ..Upstream::default()
    };
    let content_type: String = content_type.chars().take(100).collect();
    Failure::new(
        Reason::UpstreamUnavailable,
        format!("the answer from Bedrock's endpoint is {what}"),
    )
    .in_phase(Phase::BeforeFirstEvent)
    .with_upstream(upstream)
    .with_detail(format_args!(
        "HTTP {http_status}, content-type {content_type:?}: the response is not from Bedrock; check the endpoint URL and any proxy or load balancer on the path"
    ))
}

/// Converts an error that Bedrock reported.
fn of_upstream(mut upstream: Upstream) -> Failure {
    // The names of Bedrock's errors never look like this.
    if without_internals(&upstream.exception) != upstream.exception {
        upstream.exception.clear();
    }
    let (name, text) = (&upstream.exception, &upstream.message);
    let reason = reason::of(name, text, upstream.http_status);
    let mut detail = String::new();
    let message = match reason {
        Reason::UpstreamCredentials => {
            // Messages about signatures quote the signed request, including its security token, so
            // they are replaced.
            let message = reason::credentials_message(name);
            upstream.message = String::new();
            message
        }
        Reason::UpstreamAccessDenied if without_internals(text) != *text => {
            // The text names the gateway's role, its account and the account's resources, so only
            // the operator's log contains it.
            detail = std::mem::take(&mut upstream.message);
            format!(
                "Bedrock: {}: the gateway's AWS identity may not make this call; the operator must add the IAM permission",
                upstream.exception
            )
        }
        _ => {
            let text = without_internals(text);
            let message = match (name.as_str(), text.as_str()) {
                ("", "") => match upstream.http_status {
                    Some(status) => {
                        format!("Bedrock's endpoint answered HTTP {status} without a reason")
                    }
                    None => "Bedrock reported an error without a reason".to_owned(),
                },
                (name, "") => format!("Bedrock: {name}"),
                ("", text) => format!("Bedrock: {text}"),
                (name, text) => format!("Bedrock: {name}: {text}"),
            };
            if text != upstream.message {
                detail = std::mem::replace(&mut upstream.message, text);
            }
            message
        }
    };
    Failure::new(reason, message)
        .in_phase(Phase::BeforeFirstEvent)
        .with_upstream(upstream)
        .with_detail(detail)
}

/// Returns a failure whose texts for callers do not name the host of Bedrock's endpoint. It can be
/// a proxy or an internal name of the operator's network.
pub(super) fn without_endpoint(mut failure: Failure, host: &str) -> Failure {
    let Some(upstream) = &mut failure.upstream else {
        return failure;
    };
    let shown = without_hosts(&upstream.message, Some(host));
    if shown != upstream.message {
        let whole = std::mem::replace(&mut upstream.message, shown);
        if failure.detail.is_empty() {
            failure.detail = whole;
        }
        failure.message = without_hosts(&failure.message, Some(host));
    }
    failure
}

#[cfg(test)]
mod tests;
