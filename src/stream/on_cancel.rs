//! Closes Bedrock's stream, or reads the rest of it, after the client has disconnected or has
//! received the whole answer.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{
    answer::UpstreamAnswer,
    decoding::Decoding,
    operation::{Counted, Operation},
    report::CallReport,
    timers::METADATA_WAIT,
};
use crate::config::OnCancel;

/// How long the gateway waits for the end of a complete HTTP response, so that the connection can
/// be reused.
const TAIL: Duration = Duration::from_secs(1);

/// A call whose client has disconnected before the end of the call.
pub(super) struct CancelledCall<O: Operation> {
    // Fields are dropped in this order, so the report is written before the call to Bedrock is
    // closed.
    pub(super) report: CallReport,
    pub(super) answer: UpstreamAnswer,
    pub(super) decoding: Decoding<O>,
    pub(super) operation: O,
    /// The time until which a complete answer waits for its `metadata`. `None` if the answer is not
    /// complete.
    pub(super) metadata_by: Option<Instant>,
}

/// Reads what Bedrock sends after `metadata`, for at most [`TAIL`], and discards it. The connection
/// can be reused only if the response is read to its end.
pub(super) async fn read_tail(mut answer: UpstreamAnswer) {
    let _late = tokio::time::timeout(TAIL, async {
        while let Some(Ok(_)) = answer.next().await {}
    })
    .await;
}

impl<O: Operation> CancelledCall<O> {
    /// Applies `limits.on_cancel`: closes the call to Bedrock or, within limits, reads on until the
    /// usage is known. If the usage is known already, the call is closed.
    pub(super) fn settle(self, on_cancel: OnCancel) {
        match on_cancel {
            OnCancel::DrainForUsage { time, tokens } if !self.report.is_usage_known() => {
                spawn(self.read_to_usage(time, tokens));
            }
            OnCancel::Abort | OnCancel::DrainForUsage { .. } => {}
        }
    }

    async fn read_to_usage(mut self, time: Duration, tokens: u32) {
        let mut until = Instant::now() + time;
        until = self.metadata_by.map_or(until, |by| until.min(by));
        let mut left = tokens;
        while left > 0
            && !self.report.is_usage_known()
            && let next = self.decoding.next(&mut self.answer)
            && let Ok(Some(Ok(event))) = timeout_at(until, next).await
        {
            match self.operation.count(event, &mut self.report) {
                // A delta carries at least one token, so this limits the tokens that are read.
                Counted::Delta => left -= 1,
                Counted::Complete => until = until.min(Instant::now() + METADATA_WAIT),
                Counted::Other => {}
            }
        }
    }
}

/// Spawns a task. Does nothing if the runtime has stopped.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(task);
    }
}
