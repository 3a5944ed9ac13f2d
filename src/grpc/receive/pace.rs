//! Enforces the minimum rate at which a client must send its message.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, timeout};

use crate::{
    config::Limits,
    error::{Failure, Reason},
};

/// Measures how long the gateway waits for a client. Time during which the gateway itself does not
/// read is not counted.
pub(super) struct Pace {
    idle: Duration,
    /// The minimum rate, in bytes per second.
    rate: usize,
    waited: Duration,
    received: usize,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            idle: limits.receive_idle,
            rate: limits.receive_rate,
            waited: Duration::ZERO,
            received: 0,
        }
    }

    /// Waits for the client's next bytes.
    ///
    /// # Errors
    /// Fails if no bytes arrive within the idle limit, or if the bytes so far arrived too slowly.
    /// The minimum rate does not apply to the first part of the wait, which is as long as the idle
    /// limit.
    pub(super) async fn next<F: Future>(&mut self, bytes: F) -> Result<F::Output, Failure> {
        let begun = Instant::now();
        let next = timeout(self.idle, bytes).await.map_err(|_| {
            stalled(format!(
                "no part of the request arrived for {} s; send it faster",
                self.idle.as_secs()
            ))
        })?;
        self.waited += begun.elapsed();
        let counted = self.waited.saturating_sub(self.idle).as_secs_f64();
        if (self.received as f64) < counted * self.rate as f64 {
            return Err(stalled(format!(
                "the request arrives too slowly: {} bytes in {} s; the minimum is {} bytes per second",
                self.received,
                self.waited.as_secs(),
                self.rate
            )));
        }
        Ok(next)
    }

    /// Counts bytes that arrived.
    pub(super) fn received(&mut self, bytes: usize) {
        self.received += bytes;
    }
}

fn stalled(message: String) -> Failure {
    Failure::new(Reason::ClientStalled, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            receive_idle: Duration::from_secs(10),
            receive_rate: 100,
            ..Limits::default()
        }
    }

    async fn after(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it() {
        let mut pace = Pace::new(&limits());
        pace.next(after(9)).await.unwrap();
        pace.received(10_000);
        let failure = pace.next(after(11)).await.unwrap_err();
        assert_eq!(failure.reason, Reason::ClientStalled);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_ends_it_and_the_gateways_own_time_is_not_counted() {
        let mut pace = Pace::new(&limits());
        // The wait for 1,100 bytes takes 20 s, of which 10 s count. 1,000 bytes are sufficient for
        // these.
        for _ in 0..4 {
            pace.received(275);
            pace.next(after(5)).await.unwrap();
        }
        // The gateway does other work for a while.
        after(1_000).await;
        pace.next(after(0)).await.unwrap();
        let failure = pace.next(after(5)).await.unwrap_err();
        assert_eq!(failure.reason, Reason::ClientStalled);
        assert!(failure.message.contains("1100 bytes in 25 s"), "{failure}");
    }
}
