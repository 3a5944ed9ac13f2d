//! Makes an upstream call and waits for its first event. Until that arrives, another attempt can
//! replace the call.

use std::future::poll_fn;

use super::{
    Bedrock, BedrockEvent, BedrockEvents, MemoryWait, ModelHead, ModelOptions, RequestBody,
    converse_stream::StreamResponse, failure,
};
use crate::error::{Failure, Phase, Reason, Upstream};

/// An answer whose first event has arrived.
#[derive(Debug)]
pub struct Opened {
    /// Bedrock's request ID (`x-amzn-requestid`), which identifies the call in AWS's logs.
    pub request_id: String,
    /// The first event.
    pub first: BedrockEvent,
    /// The remaining events.
    pub rest: BedrockEvents,
}

impl Bedrock {
    /// Calls ConverseStream and waits for the first event, without a timeout. Dropping the future
    /// cancels the call.
    ///
    /// # Errors
    /// Fails for the same reasons as [`Self::converse_stream`], and if the stream begins with an
    /// error instead of an event.
    pub async fn open(
        &self,
        source_region: &str,
        model_id: &str,
        body: impl Into<RequestBody>,
    ) -> Result<Opened, Failure> {
        let answer = self.converse_stream(source_region, model_id, body).await?;
        first_event(answer, self.memory_wait()).await
    }

    /// Calls InvokeModelWithResponseStream and waits for the first event, as [`Self::open`] does.
    ///
    /// # Errors
    /// Fails for the same reasons as [`Self::open`].
    pub async fn open_model(
        &self,
        source_region: &str,
        model_id: &str,
        options: &ModelOptions,
        body: impl Into<RequestBody>,
    ) -> Result<(Opened, ModelHead), Failure> {
        let answer = self.invoke_model_stream(source_region, model_id, options, body);
        let (answer, head) = answer.await?;
        Ok((first_event(answer, self.memory_wait()).await?, head))
    }
}

/// Waits for the first event of an answer.
async fn first_event(answer: StreamResponse, memory_wait: &MemoryWait) -> Result<Opened, Failure> {
    let mut rest = answer.frames;
    let first = poll_fn(|cx| {
        let next = rest.poll_next(cx);
        memory_wait.set(next.is_pending() && rest.waits_for_memory());
        next
    });
    match first.await {
        Some(Ok(first)) => Ok(Opened {
            request_id: answer.request_id,
            first,
            rest,
        }),
        // The bytes are not an event stream, and the headers did not declare one.
        Some(Err(failure)) if failure.reason == Reason::UpstreamCorrupt && !answer.is_declared => {
            Err(failure::not_a_stream(200, "", &answer.request_id))
        }
        Some(Err(failure)) => Err(named(failure, &answer.request_id)),
        None if !answer.is_declared => Err(failure::not_a_stream(200, "", &answer.request_id)),
        None => Err(named(
            Failure::new(
                Reason::UpstreamTruncated,
                "Bedrock's stream ended before its first event",
            )
            .in_phase(Phase::BeforeFirstEvent)
            .with_upstream(Upstream::default()),
            &answer.request_id,
        )),
    }
}

/// Adds the request ID of the response headers, because errors in the stream have none.
fn named(mut failure: Failure, request_id: &str) -> Failure {
    if let Some(upstream) = &mut failure.upstream
        && upstream.request_id.is_empty()
    {
        request_id.clone_into(&mut upstream.request_id);
    }
    failure
}
