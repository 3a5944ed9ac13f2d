//! Calls ApplyGuardrail.

use aws_sdk_bedrockruntime::Client;
use bytes::Bytes;

use super::{
    Bedrock, RequestBody, failure,
    request_key::{CallHeaders, RequestKey, SdkOperation},
};
use crate::error::Failure;

/// The maximum size of an answer, in bytes. An answer contains the findings and at
/// most a copy of the content, and Bedrock limits both to far less. Source: docs/limits.md.
const MAX_ANSWER: usize = 16 << 20;

const OPERATION: &str = "ApplyGuardrail";

/// Bedrock's answer to ApplyGuardrail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardrailAnswer {
    /// `x-amzn-requestid`, which identifies the call in AWS's logs. Empty if Bedrock sent none.
    pub request_id: String,
    /// The answer's JSON.
    pub body: Bytes,
}

impl Bedrock {
    /// Calls ApplyGuardrail in a source Region. `identifier` is the ID or ARN of the guardrail.
    /// `body` is JSON that is sent unchanged.
    ///
    /// # Errors
    ///
    /// Fails if Bedrock returned an error, or if the request failed.
    pub async fn apply_guardrail(
        &self,
        source_region: &str,
        identifier: &str,
        version: &str,
        body: impl Into<RequestBody>,
    ) -> Result<GuardrailAnswer, Failure> {
        let body = body.into();
        self.signed(|| self.apply_guardrail_once(source_region, identifier, version, body.clone()))
            .await
    }

    async fn apply_guardrail_once(
        &self,
        source_region: &str,
        identifier: &str,
        version: &str,
        body: RequestBody,
    ) -> Result<GuardrailAnswer, Failure> {
        let key = RequestKey {
            version: version.into(),
            ..RequestKey::new(SdkOperation::ApplyGuardrail, identifier)
        };
        let by_sdk = |client: &Client| {
            let call = client.apply_guardrail().guardrail_identifier(identifier);
            call.guardrail_version(version).send()
        };
        let response = self
            .exchange(source_region, key, CallHeaders::default(), body, by_sdk)
            .await?;
        let (status, content_type) = (response.status, response.content_type());
        // A proxy or load balancer answered instead of Bedrock.
        if !failure::is_answer(status, content_type) {
            let request_id = response.request_id();
            return Err(failure::not_an_answer(
                OPERATION,
                status,
                content_type,
                request_id,
            ));
        }
        Ok(GuardrailAnswer {
            request_id: response.request_id().to_owned(),
            body: response.read(MAX_ANSWER).await?,
        })
    }
}
