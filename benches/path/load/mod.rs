//! The load: a number of calls at a time, each followed by the next one, until it is dropped.
//!
//! The load is as cheap as possible, because it shares the cores with what it measures. Requests
//! are encoded once; answers are split into messages and counted, but never decoded.

mod http1;
mod http2;
mod messages;
mod watch;
mod way;

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

pub(crate) use self::{
    watch::{Count, Watch},
    way::{Method, Way},
};
use crate::Error;

/// A running load. Dropping it cancels all its calls.
pub(crate) struct Load {
    slots: JoinSet<()>,
    count: usize,
    pub(crate) watch: Arc<Watch>,
}

impl Load {
    /// Opens `count` slots, spread over this time. Each slot makes a call, reads the answer to its
    /// end, and makes the next call.
    pub(crate) fn start(way: &Way, count: usize, over: Duration) -> Self {
        Self::start_paced(way, count, over, None)
    }

    /// Like [`Self::start`], but also records how late tokens are that are sent at this interval.
    pub(crate) fn start_paced(
        way: &Way,
        count: usize,
        over: Duration,
        period: Option<Duration>,
    ) -> Self {
        let watch = Arc::new(Watch::with_period(period));
        let begun = tokio::time::Instant::now();
        let mut slots = JoinSet::new();
        for slot in 0..count {
            let (way, watch) = (way.clone(), Arc::clone(&watch));
            let offset = over.mul_f64(slot as f64 / count as f64);
            slots.spawn(async move {
                tokio::time::sleep_until(begun + offset).await;
                if let Err(error) = call_repeatedly(&way, slot, &watch).await {
                    watch.fail(&*error);
                }
            });
        }
        Self {
            slots,
            count,
            watch,
        }
    }

    /// Waits until every slot has received a first message.
    ///
    /// # Errors
    /// Fails if a call fails, or if it takes longer than `limit`.
    pub(crate) async fn all_answered(&self, limit: Duration) -> Result<(), Error> {
        let waited = tokio::time::timeout(limit, async {
            while self.watch.count().answered < self.count as u64 {
                self.watch.check()?;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(())
        });
        waited.await.map_err(|_| {
            let answered = self.watch.count().answered;
            format!(
                "only {answered} of {} calls were answered in {limit:?}",
                self.count
            )
        })?
    }

    /// Cancels all calls and waits until their connections are closed.
    pub(crate) async fn stop(mut self) {
        self.slots.shutdown().await;
    }
}

async fn call_repeatedly(way: &Way, slot: usize, watch: &Watch) -> Result<(), Error> {
    let mut lane = way.lane(slot).await?;
    let mut first = true;
    loop {
        let mut call = watch.call(std::mem::take(&mut first));
        lane.call(&mut call).await?;
        call.ended();
    }
}
