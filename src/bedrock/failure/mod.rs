//! What Bedrock's errors mean, and errors on the way to it: one [`Failure`] for each.
//!
//! | module | job |
//! |---|---|
//! | `reason` | the table from Bedrock's names and words to a [`Reason`] |
//! | `call` | errors before the stream: HTTP, credentials, connections |
//! | `hint` | when to come back |

mod call;
mod hint;
mod reason;

use std::fmt;

use serde_json::{Map, Value};

pub(super) use call::of_call;

use super::frame::{Corrupt, Message};
use crate::error::{Failure, Phase, Reason, Upstream};

/// The JSON of an error.
#[derive(Debug, Default)]
struct Body {
    message: String,
    code: Option<String>,
    original_status: Option<u16>,
}

impl Body {
    /// Reads what can be read, in the spellings that AWS's services use. An error page of some proxy is no JSON, and no
    /// reason to lose the status.
    fn read(bytes: &[u8]) -> Self {
        let json: Map<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
        let text = |names: &[&str]| names.iter().find_map(|name| json.get(*name)?.as_str());
        let message = text(&["message", "Message", "errorMessage"]).unwrap_or_default();
        let message = match text(&["originalMessage"]) {
            Some(original) if !original.is_empty() && original != message => {
                format!("{message} ({original})")
            }
            _ => message.to_owned(),
        };
        Self {
            message,
            code: text(&["__type", "code", "Code"]).map(str::to_owned),
            original_status: json
                .get("originalStatusCode")
                .and_then(Value::as_u64)
                .and_then(|code| code.try_into().ok()),
        }
    }
}

/// A source Region that cannot be one.
pub(super) fn no_region(name: &str) -> Failure {
    let name: String = name.chars().take(64).collect();
    let hint =
        "name one such as us-east-1, in the target, its ARN, the configuration or AWS_REGION";
    Failure::new(
        Reason::InvalidRequest,
        format!("{name:?} is not an AWS Region: {hint}"),
    )
}

/// An exception or error in the stream.
pub(super) fn of_message(message: &Message, request_id: &str) -> Failure {
    let name = reason::normal_name(&String::from_utf8_lossy(&message.name));
    if *message.message_type != *b"exception" && *message.message_type != *b"error" {
        let kind = String::from_utf8_lossy(&message.message_type);
        return corrupt(
            &format_args!("a frame of the unknown type {kind:?}"),
            request_id,
        );
    }
    let body = Body::read(&message.payload);
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
    };
    of_upstream(upstream)
}

/// Bytes that cannot be right.
pub(super) fn of_corruption(cause: &Corrupt, request_id: &str) -> Failure {
    corrupt(cause, request_id)
}

fn corrupt(cause: &dyn fmt::Display, request_id: &str) -> Failure {
    on_the_way(
        Reason::UpstreamCorrupt,
        format!("Bedrock's stream is corrupt: {cause}"),
        request_id,
    )
}

/// An end where the stream cannot end: inside a frame, or with a broken connection.
pub(super) fn of_cut(cause: &dyn fmt::Display, request_id: &str) -> Failure {
    on_the_way(
        Reason::UpstreamTruncated,
        format!("Bedrock's stream was cut off: {cause}"),
        request_id,
    )
}

fn on_the_way(reason: Reason, message: String, request_id: &str) -> Failure {
    let upstream = Upstream {
        request_id: request_id.to_owned(),
        ..Upstream::default()
    };
    Failure::new(reason, message)
        .in_phase(Phase::BeforeFirstEvent)
        .with_upstream(upstream)
}

/// What Bedrock said, as a failure.
fn of_upstream(mut upstream: Upstream) -> Failure {
    let reason = reason::of(&upstream.exception, &upstream.message);
    let message = if reason == Reason::UpstreamCredentials {
        // Messages about signatures quote the request that was signed, with its security token.
        upstream.message = String::new();
        reason::credentials_message(&upstream.exception)
    } else {
        match (upstream.exception.as_str(), upstream.message.as_str()) {
            ("", "") => match upstream.http_status {
                Some(status) => format!("Bedrock answered HTTP {status} without a reason"),
                None => "Bedrock reported an error without a reason".to_owned(),
            },
            (name, "") => format!("Bedrock: {name}"),
            ("", text) => format!("Bedrock: {text}"),
            (name, text) => format!("Bedrock: {name}: {text}"),
        }
    };
    Failure::new(reason, message)
        .in_phase(Phase::BeforeFirstEvent)
        .with_upstream(upstream)
}

#[cfg(test)]
mod tests;
