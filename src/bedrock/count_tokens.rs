//! Calls CountTokens.

use aws_sdk_bedrockruntime::operation::RequestId;
use bytes::Bytes;

use super::{Bedrock, exchange::Exchange, failure};
use crate::error::Failure;

/// Bedrock's answer to CountTokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCount {
    /// `x-amzn-requestid`, which identifies the call in AWS's logs. Empty if Bedrock sent none.
    pub request_id: String,
    /// The number of input tokens.
    pub input_tokens: i32,
}

impl Bedrock {
    /// Calls CountTokens in a source Region. `model_id` is the ID of a foundation model. `body` is
    /// JSON that is sent unchanged.
    ///
    /// # Errors
    ///
    /// Fails if Bedrock returned an error, or if the request failed.
    pub async fn count_tokens(
        &self,
        source_region: &str,
        model_id: &str,
        body: Bytes,
    ) -> Result<TokenCount, Failure> {
        self.signed(|| self.count_tokens_once(source_region, model_id, body.clone()))
            .await
    }

    async fn count_tokens_once(
        &self,
        source_region: &str,
        model_id: &str,
        body: Bytes,
    ) -> Result<TokenCount, Failure> {
        let call = self
            .client(source_region)?
            .count_tokens()
            .model_id(model_id);
        let exchange = Exchange::with_response_for_sdk(body.into(), self.trace());
        let (output, _) = exchange.run(Box::pin(call.send())).await;
        let output = output.map_err(failure::of_call)?;
        Ok(TokenCount {
            request_id: output.request_id().unwrap_or_default().to_owned(),
            input_tokens: output.input_tokens(),
        })
    }
}
