//! What is read of Bedrock's stream when no client is there for it.

use std::time::Duration;

use super::{answer::Answer, core, report::CallReport};
use crate::{config::OnCancel, pb::stream_invoke_response::Event};

/// How long Bedrock may take over the end of a response that is complete, so that its connection can be used again.
const TAIL: Duration = Duration::from_secs(1);

/// A call whose client has gone.
pub(super) struct Leftover {
    // Dropped in this order: see `Core::abandon`.
    pub(super) report: CallReport,
    pub(super) answer: Answer,
}

/// Reads what follows `metadata`. Only for the connection's sake: whatever it brings, the answer was whole.
pub(super) async fn read_tail(mut answer: Answer) {
    let _late = tokio::time::timeout(TAIL, async {
        while let Some(Ok(_)) = answer.next().await {}
    })
    .await;
}

impl Leftover {
    /// Does with the rest what the operator wants: closes the call to Bedrock, or reads on, within bounds, to learn what the call used.
    pub(super) fn settle(self, on_cancel: OnCancel) {
        match on_cancel {
            OnCancel::Abort => {}
            OnCancel::DrainForUsage { time, tokens } => spawn(self.read_to_usage(time, tokens)),
        }
    }

    async fn read_to_usage(mut self, time: Duration, tokens: u32) {
        let mut left = tokens;
        let reading = async {
            while left > 0
                && let Some(Ok(frame)) = self.answer.next().await
            {
                let Ok(event) = core::decode(&frame) else {
                    return;
                };
                self.report.event(&event);
                match event.event {
                    // A delta is a token, or a few.
                    Some(Event::ContentBlockDelta(_)) => left -= 1,
                    Some(Event::Metadata(_)) => return self.report.usage_known(),
                    _ => {}
                }
            }
        };
        let _late = tokio::time::timeout(time, reading).await;
    }
}

/// Spawns, if the runtime still runs.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(task);
    }
}
