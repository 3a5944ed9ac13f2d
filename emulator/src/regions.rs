//! Tracks the conditions of source Regions. Each unhealthy Region has a [`Condition`].

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

/// The condition of a source Region, which affects its calls. If a call names a fault, that fault
/// takes precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Every call gets this fault. The control plane supports only `stall-before-headers` and
    /// faults that are HTTP errors.
    Fault(Fault),
    /// Answers are delayed by this time: the first event of a stream, or the whole answer of any
    /// other call.
    Latency(Duration),
    /// Connections are reset without an answer. In HTTP/2, only streams are reset, because a
    /// connection can carry calls to other Regions.
    Down {
        /// Whether running calls are interrupted, too.
        cut: bool,
    },
}

/// The conditions of all Regions. A Region without a condition is healthy.
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

    /// Sets the condition of a Region.
    pub(super) fn set(&self, name: &str, condition: Option<Condition>) {
        let mut regions = self.lock();
        let region = regions.entry(name.to_owned()).or_default();
        region.condition = condition;
        if condition == Some(Condition::Down { cut: true }) {
            // Later calls wait for a new outage. Calls that name a fault can begin during this
            // outage, and must not be ended by it.
            std::mem::take(&mut region.outage).cancel();
        }
    }

    /// Makes all Regions healthy.
    pub(super) fn clear(&self) {
        for region in self.lock().values_mut() {
            region.condition = None;
        }
    }

    /// Returns the unhealthy Regions.
    pub(super) fn list(&self) -> Vec<(String, Condition)> {
        let regions = self.lock();
        let ill = regions
            .iter()
            .filter_map(|(name, region)| Some((name.clone(), region.condition?)));
        ill.collect()
    }

    /// Returns the current condition of a Region, and a handle with which a running call waits for
    /// an outage.
    pub(super) fn enter(&self, name: &str) -> (Option<Condition>, Outage) {
        let mut regions = self.lock();
        // The Region is added even if it is healthy, because an outage can begin later.
        let region = regions.entry(name.to_owned()).or_default();
        (region.condition, Outage::new(region.outage.clone()))
    }
}

/// Completes when the Region of a running call goes down and its calls must be interrupted.
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
    fn only_an_outage_that_cuts_ends_calls_and_only_those_that_ran_before() {
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
