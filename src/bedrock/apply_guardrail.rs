//! Calls ApplyGuardrail.

use aws_sdk_bedrockruntime::Client;

use super::{
    AnswerBody, Bedrock, RequestBody, failure,
    request_key::{CallHeaders, RequestKey, SdkOperation},
};
use crate::error::Failure;

const OPERATION: &str = "ApplyGuardrail";

/// Bedrock's answer to ApplyGuardrail.
#[derive(Debug)]
pub struct GuardrailAnswer {
    /// `x-amzn-requestid`, which identifies the call in AWS's logs. Empty if Bedrock sent none.
    pub request_id: String,
    /// The answer's JSON.
    pub body: AnswerBody,
}

impl Bedrock {
    /// Calls ApplyGuardrail in a source Region. `identifier` is the ID or ARN of the guardrail.
    /// `body` is JSON that is sent unchanged.
    ///
    /// Returns when the response headers have arrived.
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
            body: AnswerBody::of(response),
        })
    }
}
