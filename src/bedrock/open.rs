//! A call up to its first event: until then nothing of an answer was seen, and another call may be made instead.

use std::time::Duration;

use bytes::Bytes;

use super::{Bedrock, Frame, Frames, failure};
use crate::error::{Failure, Phase, Reason, Upstream};

/// When a call may succeed whose answer ended before it began.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An answer whose first event is there.
#[derive(Debug)]
pub struct Opened {
    /// `x-amzn-requestid`, by which AWS's logs know the call.
    pub request_id: String,
    /// The first event.
    pub first: Frame,
    /// What follows.
    pub rest: Frames,
}

impl Bedrock {
    /// Calls ConverseStream, and waits for the first event. Takes as long as it takes; dropping the future gives the call up.
    ///
    /// # Errors
    /// As [`Self::converse_stream`]; and what comes in the stream instead of an event.
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
            // Not a stream that is damaged, but something else.
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

/// In-stream errors carry no request ID: the response's head did.
fn named(mut failure: Failure, request_id: &str) -> Failure {
    if let Some(upstream) = &mut failure.upstream
        && upstream.request_id.is_empty()
    {
        request_id.clone_into(&mut upstream.request_id);
    }
    failure
}
