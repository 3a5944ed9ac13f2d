//! A call up to its first event: until then, no output was seen, and another attempt may be made.

use std::time::Duration;

use bytes::Bytes;

use super::{Bedrock, Frame, Frames, failure};
use crate::error::{Failure, Phase, Reason, Upstream};

/// When to retry a call whose answer ended before it began.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An answer whose first event has arrived.
#[derive(Debug)]
pub struct Opened {
    /// `x-amzn-requestid`, the request ID in AWS's logs.
    pub request_id: String,
    /// The first event.
    pub first: Frame,
    /// The following events.
    pub rest: Frames,
}

impl Bedrock {
    /// Calls ConverseStream and waits for the first event. There is no timeout; dropping the future
    /// cancels the call.
    ///
    /// # Errors
    /// As [`Self::converse_stream`], and errors in the stream before the first event.
    pub async fn open(
        &self,
        source_region: &str,
        model_id: &str,
        body: Bytes,
    ) -> Result<Opened, Failure> {
        let answer = self.converse_stream(source_region, model_id, body).await?;
        let mut rest = answer.frames;
        match rest.next().await {
            Some(Ok(first)) => Ok(Opened {
                request_id: answer.request_id,
                first,
                rest,
            }),
            // Not a damaged stream, but another kind of response.
            Some(Err(failure))
                if failure.reason == Reason::UpstreamCorrupt && !answer.is_declared =>
            {
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
                .with_retry_after(RETRY_AFTER)
                .with_upstream(Upstream::default()),
                &answer.request_id,
            )),
        }
    }
}

/// In-stream errors carry no request ID, so the one of the response's head is used.
fn named(mut failure: Failure, request_id: &str) -> Failure {
    if let Some(upstream) = &mut failure.upstream
        && upstream.request_id.is_empty()
    {
        request_id.clone_into(&mut upstream.request_id);
    }
    failure
}
