//! Calls InvokeModel and InvokeModelWithResponseStream, and returns when the response headers have
//! arrived.

use std::{borrow::Cow, sync::Arc};

use aws_sdk_bedrockruntime::{
    Client,
    types::{PerformanceConfigLatency, ServiceTierType, Trace},
};
use bytes::Bytes;
use http_body_util::BodyExt;

use super::{
    Bedrock, RequestBody,
    converse_stream::{StreamResponse, stream_of},
    exchange::Response,
    failure,
    http::ResponseBody,
    request_key::{CallHeaders, GuardrailKey, RequestKey, SdkOperation},
};
use crate::error::Failure;

const OPERATION: &str = "InvokeModel";

/// The settings of a call that are sent as headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelOptions {
    /// The requested media type of the answer. If `None`, Bedrock uses its default.
    pub accept: Option<String>,
    /// The guardrail.
    pub guardrail: Option<ModelGuardrail>,
    /// The latency, in Bedrock's spelling.
    pub latency: Option<String>,
    /// The service tier, in Bedrock's spelling.
    pub service_tier: Option<String>,
    /// The request metadata, as a JSON object.
    pub request_metadata: Option<String>,
}

/// The guardrail of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelGuardrail {
    /// The ID or ARN of the guardrail.
    pub identifier: String,
    /// The version of the guardrail.
    pub version: String,
    /// The trace setting, in the spelling that Bedrock uses for this header.
    pub trace: Option<String>,
}

/// What the response headers say about an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelHead {
    /// The media type of the body or, in a stream, of the chunks.
    pub content_type: String,
    /// The latency that Bedrock used, in Bedrock's spelling.
    pub latency: Option<String>,
    /// The service tier that Bedrock used, in Bedrock's spelling.
    pub service_tier: Option<String>,
}

/// Bedrock's answer to InvokeModel: what its headers say, and its body.
#[derive(Debug)]
pub struct ModelAnswer {
    /// `x-amzn-requestid`, which identifies the call in AWS's logs. Empty if Bedrock sent none.
    pub request_id: String,
    /// What the headers say about the answer.
    pub head: ModelHead,
    /// The token counts.
    pub tokens: HeaderCounts,
    /// The body.
    pub body: AnswerBody,
}

/// The token counts in the headers of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderCounts {
    /// Input tokens.
    pub input: Option<i32>,
    /// Output tokens.
    pub output: Option<i32>,
    /// Input tokens that were read from a prompt cache.
    pub cache_read: Option<i32>,
    /// Input tokens that were written to a prompt cache.
    pub cache_write: Option<i32>,
}

impl HeaderCounts {
    fn read(response: &Response) -> Self {
        let count = |kind: &str| {
            let value = response.header(&format!("x-amzn-bedrock-{kind}-token-count"))?;
            value.trim().parse().ok().filter(|count| *count >= 0)
        };
        Self {
            input: count("input"),
            output: count("output"),
            cache_read: count("cache-read-input"),
            cache_write: count("cache-write-input"),
        }
    }
}

/// The body of an answer. It is read in pieces.
#[derive(Debug)]
pub struct AnswerBody {
    body: ResponseBody,
    request_id: String,
}

impl AnswerBody {
    /// Returns the body of a response.
    pub(super) fn of(response: Response) -> Self {
        Self {
            request_id: response.request_id().to_owned(),
            body: response.body,
        }
    }

    /// Returns the next piece. `None` after the last one.
    ///
    /// # Errors
    ///
    /// Fails if the connection broke before the end of the body.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            return match self.body.frame().await {
                None => Ok(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Ok(Some(data)),
                    // Trailers are skipped.
                    Err(_) => continue,
                },
                Some(Err(error)) => Err(failure::of_cut(&error, &self.request_id)),
            };
        }
    }

    /// Returns the failure for a body that is larger than this many bytes.
    pub fn too_long(&self, most: usize) -> Failure {
        failure::too_long(most, &self.request_id)
    }
}

/// Adds the options of a call to its builder. The SDK's two builders share no trait.
macro_rules! with_options {
    ($call:expr, $options:expr) => {{
        let options: &ModelOptions = $options;
        let guardrail = options.guardrail.as_ref();
        $call
            .set_accept(options.accept.clone())
            .set_guardrail_identifier(guardrail.map(|it| it.identifier.clone()))
            .set_guardrail_version(guardrail.map(|it| it.version.clone()))
            .set_trace(
                guardrail
                    .and_then(|it| it.trace.as_deref())
                    .map(Trace::from),
            )
            .set_performance_config_latency(
                options
                    .latency
                    .as_deref()
                    .map(PerformanceConfigLatency::from),
            )
            .set_service_tier(options.service_tier.as_deref().map(ServiceTierType::from))
            .set_request_metadata(options.request_metadata.clone())
    }};
}

impl ModelHead {
    fn read(response: &Response, content_type: &str) -> Self {
        let text = |name: &str| response.header(name).map(str::to_owned);
        Self {
            content_type: content_type.to_owned(),
            latency: text("x-amzn-bedrock-performanceconfig-latency"),
            service_tier: text("x-amzn-bedrock-service-tier"),
        }
    }
}

impl ModelOptions {
    /// Returns the key of requests with these options in a project.
    fn key<'a>(
        &'a self,
        operation: SdkOperation,
        model_id: &'a str,
        project: Option<&'a Arc<str>>,
    ) -> RequestKey<'a> {
        RequestKey {
            project: project.map(|project| Cow::Borrowed(&**project)),
            guardrail: self.guardrail.as_ref().map(|guardrail| GuardrailKey {
                identifier: guardrail.identifier.as_str().into(),
                version: guardrail.version.as_str().into(),
                trace: guardrail.trace.as_deref().map(Cow::Borrowed),
            }),
            latency: self.latency.as_deref().map(Cow::Borrowed),
            service_tier: self.service_tier.as_deref().map(Cow::Borrowed),
            headers: self.headers().names(),
            ..RequestKey::new(operation, model_id)
        }
    }

    fn headers(&self) -> CallHeaders<'_> {
        CallHeaders {
            accept: self.accept.as_deref(),
            request_metadata: self.request_metadata.as_deref(),
        }
    }
}

impl Bedrock {
    /// Calls InvokeModel in a source Region. `model_id` is Bedrock's `modelId`. `body` is sent
    /// unchanged.
    ///
    /// Returns when the response headers have arrived. Dropping the future cancels the call.
    ///
    /// # Errors
    ///
    /// Fails if Bedrock returned an error, or if the request failed.
    pub async fn invoke_model(
        &self,
        source_region: &str,
        model_id: &str,
        options: &ModelOptions,
        body: impl Into<RequestBody>,
    ) -> Result<ModelAnswer, Failure> {
        let body = body.into();
        self.signed(|| self.invoke_model_once(source_region, model_id, options, body.clone()))
            .await
    }

    async fn invoke_model_once(
        &self,
        source_region: &str,
        model_id: &str,
        options: &ModelOptions,
        body: RequestBody,
    ) -> Result<ModelAnswer, Failure> {
        let key = options.key(SdkOperation::InvokeModel, model_id, self.project());
        let by_sdk = |client: &Client| {
            with_options!(client.invoke_model().model_id(model_id), options).send()
        };
        let response = self
            .exchange(source_region, key, options.headers(), body, by_sdk)
            .await?;
        let request_id = response.request_id().to_owned();
        let (status, content_type) = (response.status, response.content_type());
        // A proxy or load balancer answered instead of Bedrock.
        if !failure::is_answer(status, content_type) {
            return Err(failure::not_an_answer(
                OPERATION,
                status,
                content_type,
                &request_id,
            ));
        }
        Ok(ModelAnswer {
            head: ModelHead::read(&response, content_type),
            tokens: HeaderCounts::read(&response),
            body: AnswerBody::of(response),
            request_id,
        })
    }

    /// Calls InvokeModelWithResponseStream like [`Self::invoke_model`].
    ///
    /// # Errors
    ///
    /// Fails if Bedrock returned an error, or if the request failed.
    pub async fn invoke_model_stream(
        &self,
        source_region: &str,
        model_id: &str,
        options: &ModelOptions,
        body: impl Into<RequestBody>,
    ) -> Result<(StreamResponse, ModelHead), Failure> {
        let body = body.into();
        self.signed(|| {
            self.invoke_model_stream_once(source_region, model_id, options, body.clone())
        })
        .await
    }

    async fn invoke_model_stream_once(
        &self,
        source_region: &str,
        model_id: &str,
        options: &ModelOptions,
        body: RequestBody,
    ) -> Result<(StreamResponse, ModelHead), Failure> {
        let key = options.key(
            SdkOperation::InvokeModelWithResponseStream,
            model_id,
            self.project(),
        );
        let by_sdk = |client: &Client| {
            let call = client.invoke_model_with_response_stream();
            with_options!(call.model_id(model_id), options).send()
        };
        let response = self
            .exchange(source_region, key, options.headers(), body, by_sdk)
            .await?;
        let content_type = response.header("x-amzn-bedrock-content-type");
        let head = ModelHead::read(&response, content_type.unwrap_or_default());
        Ok((stream_of(response, self.frame_memory())?, head))
    }
}
