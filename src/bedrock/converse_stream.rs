//! Calls ConverseStream, and returns when the response headers have arrived.

use std::sync::Arc;

use aws_sdk_bedrockruntime::Client;

use super::{
    Bedrock, BedrockEvents, FrameMemory, RequestBody,
    exchange::Response,
    failure,
    request_key::{CallHeaders, RequestKey, SdkOperation},
};
use crate::error::{Failure, Reason};

/// The content type of Bedrock's event streams.
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

/// Bedrock's answer: what its headers say, and its events.
#[derive(Debug)]
pub struct StreamResponse {
    /// Bedrock's request ID (`x-amzn-requestid`), which identifies the call in AWS's logs. Empty if
    /// Bedrock sent none.
    pub request_id: String,
    /// The events.
    pub frames: BedrockEvents,
    /// Whether the content type of the response is exactly that of an event stream.
    pub is_declared: bool,
}

impl Bedrock {
    /// Calls ConverseStream in a source Region. `model_id` is Bedrock's `modelId`. `body` is JSON
    /// that is sent unchanged, except that the client's project is added.
    ///
    /// Returns when the response headers have arrived. Only opening a connection has a timeout.
    /// Dropping the future cancels the call.
    ///
    /// # Errors
    ///
    /// Fails if Bedrock returned an error, or if the request failed.
    pub async fn converse_stream(
        &self,
        source_region: &str,
        model_id: &str,
        body: impl Into<RequestBody>,
    ) -> Result<StreamResponse, Failure> {
        let body = match self.project() {
            Some(identifier) => body.into().in_project(identifier).ok_or_else(|| {
                Failure::new(
                    Reason::Internal,
                    "the project cannot be added to the request's body",
                )
            })?,
            None => body.into(),
        };
        self.signed(|| self.converse_stream_once(source_region, model_id, body.clone()))
            .await
    }

    async fn converse_stream_once(
        &self,
        source_region: &str,
        model_id: &str,
        body: RequestBody,
    ) -> Result<StreamResponse, Failure> {
        let key = RequestKey::new(SdkOperation::ConverseStream, model_id);
        let by_sdk = |client: &Client| client.converse_stream().model_id(model_id).send();
        let response = self
            .exchange(source_region, key, CallHeaders::default(), body, by_sdk)
            .await?;
        stream_of(response, self.frame_memory())
    }
}

/// Returns the events of a successful response. Large ones take memory from the budget.
///
/// # Errors
///
/// Fails if the response is not an event stream.
pub(super) fn stream_of(
    response: Response,
    memory: Option<Arc<dyn FrameMemory>>,
) -> Result<StreamResponse, Failure> {
    let request_id = response.request_id().to_owned();
    let content_type = response.content_type();
    if response.status != 200 || !may_be_a_stream(content_type) {
        let status = response.status;
        return Err(failure::not_a_stream(status, content_type, &request_id));
    }
    Ok(StreamResponse {
        is_declared: content_type == EVENT_STREAM,
        frames: BedrockEvents::new(response.body, request_id.clone(), memory),
        request_id,
    })
}

/// Returns whether a response with this content type may be an event stream. If there is no content
/// type, the first frame decides.
fn may_be_a_stream(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    ["", EVENT_STREAM, "application/octet-stream"]
        .iter()
        .any(|known| media_type.eq_ignore_ascii_case(known))
}
