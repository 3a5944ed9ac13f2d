//! Calls ConverseStream, and returns when the response headers have arrived.

use aws_sdk_bedrockruntime::operation::RequestId;

use super::{
    Bedrock, BedrockEvents, RequestBody,
    exchange::{Exchange, Response},
    failure,
};
use crate::error::Failure;

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
    /// that is sent unchanged.
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
        let body = body.into();
        self.signed(|| self.converse_stream_once(source_region, model_id, body.clone()))
            .await
    }

    async fn converse_stream_once(
        &self,
        source_region: &str,
        model_id: &str,
        body: RequestBody,
    ) -> Result<StreamResponse, Failure> {
        let call = self
            .client(source_region)?
            .converse_stream()
            .model_id(model_id);
        let exchange = Exchange::of(body, self.trace());
        let (output, response) = exchange.run(Box::pin(call.send())).await;
        let output = output.map_err(failure::of_call)?;
        stream_of(response, output.request_id().unwrap_or_default())
    }
}

/// Returns the events of a successful response.
///
/// # Errors
///
/// Fails if the response is not an event stream.
pub(super) fn stream_of(
    response: Option<Response>,
    request_id: &str,
) -> Result<StreamResponse, Failure> {
    match response {
        Some(response) if may_be_a_stream(&response) => Ok(StreamResponse {
            request_id: request_id.to_owned(),
            is_declared: response.content_type == EVENT_STREAM,
            frames: BedrockEvents::new(response.body, request_id.to_owned()),
        }),
        Some(Response {
            status,
            content_type,
            ..
        }) => Err(failure::not_a_stream(status, &content_type, request_id)),
        None => Err(failure::not_a_stream(200, "", request_id)),
    }
}

/// Returns whether a response may be an event stream. If there is no content type, the first frame
/// decides.
fn may_be_a_stream(response: &Response) -> bool {
    let media_type = response.content_type.split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    response.status == 200
        && ["", EVENT_STREAM, "application/octet-stream"].contains(&media_type.as_str())
}
