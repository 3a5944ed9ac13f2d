//! Defines the interface between generating and sending an answer: a [`Script`] of stream events,
//! or an [`ApiError`].

use serde_json::Value;

/// One event of a ConverseStream answer, before it is encoded as a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `:event-type`, such as `contentBlockDelta`.
    pub name: &'static str,
    /// The payload, without padding.
    pub payload: Value,
}

/// A complete answer, as its events in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// The events, from `messageStart` to `metadata`.
    pub events: Vec<Event>,
}

/// An error that Bedrock's API returns before a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The code in `x-amzn-errortype`, such as `ValidationException`.
    pub code: &'static str,
    /// The `message` in the body.
    pub message: String,
}

impl ApiError {
    /// Creates an HTTP 400 `ValidationException`.
    pub fn validation(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: "ValidationException",
            message: message.into(),
        }
    }
}
