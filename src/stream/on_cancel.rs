//! What the gateway reads of Bedrock's stream after its client has disconnected, or has the whole
//! answer.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{answer::Answer, report::CallReport, timers::METADATA_WAIT};
use crate::{config::OnCancel, pb::stream_invoke_response::Event, translate::event};

/// How long Bedrock may take to end a complete response, so that the connection can be reused.
const TAIL: Duration = Duration::from_secs(1);

/// A call whose client has disconnected.
pub(super) struct CancelledCall {
    // Dropped in this order: see `StateMachine::abandon`.
    pub(super) report: CallReport,
    pub(super) answer: Answer,
    /// Until when a complete answer waits for its `metadata`. `None`: the answer is not complete.
    pub(super) metadata_by: Option<Instant>,
}

/// Reads what follows `metadata`, for at most [`TAIL`]. Whatever it is, the answer was complete: it
/// only decides whether the connection can be reused.
pub(super) async fn read_tail(mut answer: Answer) {
    let _late = tokio::time::timeout(TAIL, async {
        while let Some(Ok(_)) = answer.next().await {}
    })
    .await;
}

impl CancelledCall {
    /// Does what the operator configured: closes the call to Bedrock, or keeps reading, within
    /// limits, for the call's usage. A call whose usage is known is closed.
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
            && let Ok(Some(Ok(frame))) = timeout_at(until, self.answer.next()).await
            && let Ok(mut event) = event::from_bedrock(&frame.event_type, &frame.payload)
        {
            self.report.event(&mut event);
            match event.event {
                // A delta is one token or a few.
                Some(Event::ContentBlockDelta(_)) => left -= 1,
                Some(Event::MessageStop(_)) => until = until.min(Instant::now() + METADATA_WAIT),
                _ => {}
            }
        }
    }
}

/// Spawns a task, if the runtime still runs.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(task);
    }
}
