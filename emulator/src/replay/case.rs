//! Holds one recorded exchange, and defines the answers that it provides.

use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use http::HeaderValue;
use serde_json::Value;

use super::unframe;
use crate::{
    fold,
    script::{ApiError, Script},
};

/// One recorded exchange.
#[derive(Debug)]
pub(super) struct Case {
    /// The name of the recording's folder.
    pub(super) name: String,
    pub(super) model_id: String,
    pub(super) request: Value,
    /// Whether the answer is an event stream.
    pub(super) streamed: bool,
    pub(super) status: u16,
    /// The full `x-amzn-errortype` header, if the answer has one.
    pub(super) error_type: Option<String>,
    pub(super) response: Bytes,
    /// The number of requests that were served from all recordings of the same request. It is
    /// counted only in the first of these recordings.
    pub(super) turns: AtomicUsize,
}

/// The answer that a recording provides for a call.
pub(crate) enum Recorded {
    /// The recorded bytes of an event stream.
    Stream(Bytes),
    /// Events that were created from a recorded Converse answer.
    Script(Script),
    /// The JSON of a Converse answer.
    Json(Bytes),
    /// An error.
    Error {
        status: u16,
        error_type: Option<HeaderValue>,
        body: Bytes,
    },
}

impl Case {
    pub(super) fn answer(&self, stream: bool) -> Result<Recorded, ApiError> {
        let body = self.response.clone();
        if self.status != 200 {
            let error_type = self.error_type.as_deref();
            return Ok(Recorded::Error {
                status: self.status,
                error_type: error_type.and_then(|value| HeaderValue::from_str(value).ok()),
                body,
            });
        }
        match (self.streamed, stream) {
            (true, true) => Ok(Recorded::Stream(body)),
            (false, false) => Ok(Recorded::Json(body)),
            (false, true) => {
                let answer = serde_json::from_slice(&body).map_err(|error| {
                    ApiError::validation(format!(
                        "{}: response.body is not JSON: {error}",
                        self.name
                    ))
                })?;
                Ok(Recorded::Script(fold::unfold(answer)))
            }
            (true, false) => {
                let script = unframe::script(&body).ok_or_else(|| {
                    ApiError::validation(format!(
                        "{}: its stream is not a complete answer, so Converse cannot return it",
                        self.name
                    ))
                })?;
                Ok(Recorded::Json(fold::fold(script).to_string().into()))
            }
        }
    }
}
