//! Calls CountTokens.

use aws_sdk_bedrockruntime::Client;
use bytes::Bytes;
use serde::Deserialize;

use super::{
    AnswerBody, Bedrock, RequestBody, failure,
    request_key::{CallHeaders, RequestKey, SdkOperation},
};
use crate::error::Failure;

/// The response headers of Bedrock's answer to CountTokens.
#[derive(Debug)]
pub struct CountHead {
    /// `x-amzn-requestid`, which identifies the call in AWS's logs. Empty if Bedrock sent none.
    pub request_id: String,
    http_status: u16,
    content_type: String,
}

impl CountHead {
    /// Returns the number of input tokens in the JSON of the answer.
    ///
    /// # Errors
    ///
    /// Fails if the JSON has no count.
    pub fn input_tokens(&self, json: &[u8]) -> Result<i32, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            input_tokens: i32,
        }
        let answer = serde_json::from_slice(json);
        let answer = answer.map(|Answer { input_tokens }| input_tokens);
        answer.map_err(|_| {
            failure::not_a_count(self.http_status, &self.content_type, &self.request_id)
        })
    }
}

impl Bedrock {
    /// Calls CountTokens in a source Region. `model_id` is the ID of a foundation model. `body` is
    /// JSON that is sent unchanged.
    ///
    /// Returns when the response headers have arrived.
    ///
    /// # Errors
    ///
    /// Fails if Bedrock returned an error, or if the request failed.
    pub async fn count_tokens(
        &self,
        source_region: &str,
        model_id: &str,
        body: Bytes,
    ) -> Result<(CountHead, AnswerBody), Failure> {
        let body = RequestBody::from(body);
        self.signed(|| self.count_tokens_once(source_region, model_id, body.clone()))
            .await
    }

    async fn count_tokens_once(
        &self,
        source_region: &str,
        model_id: &str,
        body: RequestBody,
    ) -> Result<(CountHead, AnswerBody), Failure> {
        let key = RequestKey::new(SdkOperation::CountTokens, model_id);
        let by_sdk = |client: &Client| client.count_tokens().model_id(model_id).send();
        let response = self
            .exchange(source_region, key, CallHeaders::default(), body, by_sdk)
            .await?;
        let head = CountHead {
            request_id: response.request_id().to_owned(),
            http_status: response.status,
            content_type: response.content_type().to_owned(),
        };
        Ok((head, AnswerBody::of(response)))
    }
}
