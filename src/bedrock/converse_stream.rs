//! Calls ConverseStream, and returns when the response headers have arrived.

use std::{sync::Arc, time::SystemTime};

use aws_sdk_bedrockruntime::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use http::HeaderValue;
use http_body_util::BodyExt as _;

use super::{
    Bedrock, BedrockEvents, FrameMemory, RequestBody,
    client::Regional,
    exchange::{Exchange, Response},
    failure,
    request_template::RequestTemplate,
    signature,
};
use crate::{
    error::{Failure, Reason},
    telemetry::trace::TraceContext,
};

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
        let regional = self.regional(source_region)?;
        // The future has several kilobytes. It is boxed, so that it is not moved with every future
        // that contains it.
        if let Some(mut response) = Box::pin(self.repeat(&regional, model_id, &body)).await? {
            let request_id = response.request_id().unwrap_or_default().to_owned();
            let response = Response::take(&mut response, false);
            return stream_of(Some(response), &request_id, self.frame_memory());
        }
        let call = regional.client.converse_stream().model_id(model_id);
        let exchange = Exchange::with_request(body.clone(), self.trace());
        let (output, extracted) = exchange.run(Box::pin(call.send())).await;
        let template = extracted
            .request
            .and_then(|request| RequestTemplate::new(request, &body));
        if let Some(template) = template {
            regional.templates.insert(model_id, template);
        }
        let output = output.map_err(failure::of_call)?;
        let request_id = output.request_id().unwrap_or_default();
        stream_of(extracted.response, request_id, self.frame_memory())
    }

    /// Repeats an earlier request of the SDK with another body, and returns the successful
    /// response. `None` if the SDK must make this call.
    async fn repeat(
        &self,
        regional: &Regional,
        model_id: &str,
        body: &RequestBody,
    ) -> Result<Option<HttpResponse>, Failure> {
        let Some(template) = regional.templates.get(model_id) else {
            return Ok(None);
        };
        let identity = template.identity().await;
        let identity = identity.map_err(|error| failure::of_no_response(&*error))?;
        let time = signature::timestamp(regional.skew.now());
        let Some(mut request) = template.request(&identity, &time, body) else {
            return Ok(None);
        };
        for (name, value) in self.trace().iter().flat_map(TraceContext::headers) {
            // Trace contexts consist of characters that headers may have.
            if let Ok(value) = HeaderValue::try_from(value) {
                request.headers_mut().insert(name, value);
            }
        }
        let sent = SystemTime::now();
        let response = self.http().send(request).await;
        let mut response = response.map_err(|error| failure::of_no_response(&error))?;
        regional.skew.measure(sent, response.headers());
        if response.status().is_success() {
            return Ok(Some(response));
        }
        let body = std::mem::replace(response.body_mut(), SdkBody::empty());
        if let Ok(body) = body.collect().await {
            *response.body_mut() = SdkBody::from(body.to_bytes());
        }
        Err(failure::of_response(&response))
    }
}

/// Returns the events of a successful response. Large ones take memory from the budget.
///
/// # Errors
///
/// Fails if the response is not an event stream.
pub(super) fn stream_of(
    response: Option<Response>,
    request_id: &str,
    memory: Option<Arc<dyn FrameMemory>>,
) -> Result<StreamResponse, Failure> {
    match response {
        Some(response) if may_be_a_stream(&response) => Ok(StreamResponse {
            request_id: request_id.to_owned(),
            is_declared: response.content_type == EVENT_STREAM,
            frames: BedrockEvents::new(response.body, request_id.to_owned(), memory),
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
