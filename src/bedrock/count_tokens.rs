//! Calls CountTokens.

use aws_sdk_bedrockruntime::Client;
use bytes::Bytes;
use serde::Deserialize;

use super::{
    Bedrock, RequestBody, failure,
    request_key::{CallHeaders, RequestKey, SdkOperation},
};
use crate::error::Failure;

/// The maximum size of an answer, in bytes. An answer contains only a number.
const MAX_ANSWER: usize = 64 << 10;

/// Bedrock's answer to CountTokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCount {
    /// `x-amzn-requestid`, which identifies the call in AWS's logs. Empty if Bedrock sent none.
    pub request_id: String,
    /// The number of input tokens.
    pub input_tokens: i32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    input_tokens: i32,
}

impl Bedrock {
    /// Calls CountTokens in a source Region. `model_id` is the ID of a foundation model. `body` is
    /// JSON that is sent unchanged.
    ///
    /// # Errors
    ///
    /// Fails if Bedrock returned an error, if the request failed, or if the answer has no count.
    pub async fn count_tokens(
        &self,
        source_region: &str,
        model_id: &str,
        body: Bytes,
    ) -> Result<TokenCount, Failure> {
        let body = RequestBody::from(body);
        self.signed(|| self.count_tokens_once(source_region, model_id, body.clone()))
            .await
    }

    async fn count_tokens_once(
        &self,
        source_region: &str,
        model_id: &str,
        body: RequestBody,
    ) -> Result<TokenCount, Failure> {
        let key = RequestKey::new(SdkOperation::CountTokens, model_id);
        let by_sdk = |client: &Client| client.count_tokens().model_id(model_id).send();
        let response = self
            .exchange(source_region, key, CallHeaders::default(), body, by_sdk)
            .await?;
        let request_id = response.request_id().to_owned();
        let (status, content_type) = (response.status, response.content_type().to_owned());
        let answer = response.read(MAX_ANSWER).await?;
        match serde_json::from_slice(&answer) {
            Ok(Answer { input_tokens }) => Ok(TokenCount {
                request_id,
                input_tokens,
            }),
            Err(_) => Err(failure::not_a_count(status, &content_type, &request_id)),
        }
    }
}
