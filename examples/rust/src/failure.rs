//! The content of a failed call: a code, a stable reason, when to retry, and Bedrock's own error.

use std::{fmt, time::Duration};

use prost::Message;
use tonic::{Code, Status};
use tonic_types::{StatusExt, pb::Status as RichStatus};

use crate::pb::UpstreamError;

const UPSTREAM_ERROR: &str = "type.googleapis.com/bedrock.inference.v1.UpstreamError";

pub struct Failure {
    pub code: Code,
    pub message: String,
    pub reason: String,
    pub retry_delay: Option<Duration>,
    pub fields: Vec<String>,
    pub upstream: Option<UpstreamError>,
}

impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().into_iter();
        // tonic-types decodes Google's details; the gateway's own detail is found by its name.
        let own = RichStatus::decode(status.details()).unwrap_or_default();
        let mut own = own.details.iter();
        let upstream = own.find(|detail| detail.type_url == UPSTREAM_ERROR);
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason: details
                .error_info()
                .map_or_else(String::new, |info| info.reason.clone()),
            retry_delay: details.retry_info().and_then(|info| info.retry_delay),
            fields: violations
                .flat_map(|it| &it.field_violations)
                .map(|violation| violation.field.clone())
                .collect(),
            upstream: upstream.and_then(|it| UpstreamError::decode(&*it.value).ok()),
        }
    }
}

/// A code as every other language writes it: DEADLINE_EXCEEDED, where tonic has DeadlineExceeded.
pub fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            code_name(self.code),
            self.reason,
            self.message
        )?;
        if let Some(delay) = self.retry_delay {
            write!(f, "\n  try again in {} ms", delay.as_millis())?;
        }
        if let Some(upstream) = &self.upstream {
            let (exception, request) = (&upstream.exception, &upstream.bedrock_request_id);
            let phase = upstream.phase().as_str_name();
            write!(f, "\n  Bedrock: {exception} ({phase}), request {request}")?;
        }
        Ok(())
    }
}
