//! The load: so many calls at a time, each followed by the next one, until it is dropped.
//!
//! It is as cheap as can be, because it runs on the same cores as what it measures: requests are encoded once, answers are cut into
//! messages and counted, never decoded.

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

/// A running load. Dropped, it gives up all its calls.
pub(crate) struct Load {
    slots: JoinSet<()>,
    count: usize,
    pub(crate) watch: Arc<Watch>,
}

impl Load {
    /// Opens `count` slots one after the other over this time. Each calls, reads the answer to its end, and calls again.
    pub(crate) fn start(way: &Way, count: usize, over: Duration) -> Self {
        let watch = Arc::new(Watch::default());
        let begun = tokio::time::Instant::now();
        let mut slots = JoinSet::new();
        for slot in 0..count {
            let (way, watch) = (way.clone(), Arc::clone(&watch));
            let offset = over.mul_f64(slot as f64 / count as f64);
            slots.spawn(async move {
                tokio::time::sleep_until(begun + offset).await;
                if let Err(error) = call_for_ever(&way, slot, &watch).await {
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

    /// Waits until every slot has had a first answer.
    ///
    /// # Errors
    /// A call failed, or it takes longer than `limit`.
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

    /// Gives up all calls and waits until their connections are closed.
    pub(crate) async fn stop(mut self) {
        self.slots.shutdown().await;
    }
}

async fn call_for_ever(way: &Way, slot: usize, watch: &Watch) -> Result<(), Error> {
    let mut lane = way.lane(slot).await?;
    let mut first = true;
    loop {
        let mut call = watch.call(std::mem::take(&mut first));
        lane.call(&mut call).await?;
        call.ended();
    }
}
