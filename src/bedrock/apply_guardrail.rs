//! Calls ApplyGuardrail.

use aws_sdk_bedrockruntime::operation::RequestId;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{
    Bedrock, RequestBody,
    exchange::{Exchange, Response},
    failure,
};
use crate::error::Failure;

/// The maximum size of an answer, in bytes. An answer contains the findings and at
/// most a copy of the content, and Bedrock limits both to far less. Source: docs/limits.md.
const MAX_ANSWER: usize = 16 << 20;

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
        let call = self
            .client(source_region)?
            .apply_guardrail()
            .guardrail_identifier(identifier)
            .guardrail_version(version);
        // The SDK drops unknown members, so its deserializer gets no body.
        let (output, extracted) = Exchange::of(body, self.trace())
            .run(Box::pin(call.send()))
            .await;
        let output = output.map_err(failure::of_call)?;
        let request_id = output.request_id().unwrap_or_default().to_owned();
        let body = match extracted.response {
            Some(response) => read(response, &request_id).await?,
            None => Bytes::new(),
        };
        Ok(GuardrailAnswer { request_id, body })
    }
}

/// Reads the whole body.
async fn read(response: Response, request_id: &str) -> Result<Bytes, Failure> {
    match Limited::new(response.body, MAX_ANSWER).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(failure::too_long(MAX_ANSWER, request_id))
        }
        Err(error) => Err(failure::of_cut(&error, request_id)),
    }
}
