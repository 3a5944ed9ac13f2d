//! What source Regions are like at present: a [`Condition`] for each that is not well.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::fault::Fault;

/// What calls with a source Region meet. A call that names a fault itself meets that one in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Every call meets this fault. The control plane knows those that are an HTTP error, and `stall-before-headers`.
    Fault(Fault),
    /// Answers begin this much later: the first event of a stream, all of any other answer.
    Latency(Duration),
    /// Connections are reset without an answer (with HTTP/2, streams are: a connection may carry calls of other Regions).
    Down {
        /// Calls that were running already are broken off, too.
        cut: bool,
    },
}

/// The conditions of all Regions. One without is well.
#[derive(Debug, Default)]
pub(super) struct Regions(Mutex<BTreeMap<String, Region>>);

#[derive(Debug, Default)]
struct Region {
    condition: Option<Condition>,
    outage: CancellationToken,
}

impl Regions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Region>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a Region is like this.
    pub(super) fn set(&self, name: &str, condition: Option<Condition>) {
        let mut regions = self.lock();
        let region = regions.entry(name.to_owned()).or_default();
        region.condition = condition;
        if condition == Some(Condition::Down { cut: true }) {
            // Calls that come later, by naming a fault of their own, have an outage of their own to wait for.
            std::mem::take(&mut region.outage).cancel();
        }
    }

    /// All Regions are well again.
    pub(super) fn clear(&self) {
        for region in self.lock().values_mut() {
            region.condition = None;
        }
    }

    /// The Regions that are not well.
    pub(super) fn list(&self) -> Vec<(String, Condition)> {
        let regions = self.lock();
        let ill = regions
            .iter()
            .filter_map(|(name, region)| Some((name.clone(), region.condition?)));
        ill.collect()
    }

    /// What a call meets that comes to this Region now, and what would break it off later.
    pub(super) fn enter(&self, name: &str) -> (Option<Condition>, Outage) {
        let mut regions = self.lock();
        // Also a Region that is well has an outage to come.
        let region = regions.entry(name.to_owned()).or_default();
        (region.condition, Outage::new(region.outage.clone()))
    }
}

/// Comes true when the Region of a running call goes down and takes its calls with it.
pub(super) struct Outage(Pin<Box<WaitForCancellationFutureOwned>>);

impl Outage {
    fn new(token: CancellationToken) -> Self {
        Self(Box::pin(token.cancelled_owned()))
    }
}

impl fmt::Debug for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outage")
    }
}

impl Future for Outage {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(outage: Outage) -> bool {
        futures_util::FutureExt::now_or_never(outage).is_some()
    }

    #[test]
    fn only_an_outage_that_cuts_breaks_off_and_only_what_ran_before() {
        let regions = Regions::default();
        let fault = Condition::Fault("throttling".parse().unwrap());
        let (well, before) = regions.enter("us-east-1");
        let (_, elsewhere) = regions.enter("us-west-2");
        assert_eq!(well, None);
        regions.set("us-east-1", Some(fault));
        regions.set("us-east-1", Some(Condition::Down { cut: false }));
        assert!(!over(regions.enter("us-east-1").1));
        assert_eq!(
            regions.list(),
            [("us-east-1".to_owned(), Condition::Down { cut: false })]
        );
        regions.set("us-east-1", Some(Condition::Down { cut: true }));
        assert!(over(before));
        assert!(!over(elsewhere));
        assert!(!over(regions.enter("us-east-1").1));
        regions.clear();
        assert_eq!(regions.enter("us-east-1").0, None);
        assert_eq!(regions.list(), []);
    }
}
