//! What these tests need in addition to the gateway's harness: peers that behave unlike client
//! libraries and emulators.

mod child;
mod queues;
mod raw;
mod upstream;
pub(crate) mod wire;

use std::time::{Duration, Instant};

use bedrock_emulator::{Call, Emulator, End};

use crate::harness::{Gateway, soon};

pub(crate) use child::Child;
pub(crate) use queues::queues;
pub(crate) use raw::{
    APPLY_GUARDRAIL, COUNT_TOKENS, Client, INVOKE, INVOKE_MODEL, Open, STREAM_INVOKE,
    STREAM_INVOKE_MODEL, message,
};
pub(crate) use upstream::{Exchange, Upstream};

/// Waits until the emulator has sent this many events in its latest call, which continues.
pub(crate) async fn begun(emulator: &Emulator, events: u64) {
    soon(emulator.wait_for(|calls| {
        calls
            .last()
            .is_some_and(|call| call.events_sent >= events && call.end.is_none())
    }))
    .await;
}

/// Waits until all of this many calls have ended because the gateway closed them, and returns when.
pub(crate) async fn left(emulator: &Emulator, count: usize) -> (Instant, Vec<Call>) {
    let calls = soon(emulator.wait_for(|calls| {
        calls.len() >= count && calls.iter().all(|call| call.end == Some(End::ClientGone))
    }))
    .await;
    (Instant::now(), calls)
}

/// Reads a sample of the admin port until it has this value.
pub(crate) async fn metric_becomes(gateway: &Gateway, sample: &str, value: f64) {
    soon(async {
        while (gateway.metric(sample).await - value).abs() > 0.5 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Repeats a measurement up to three times until its median is within the limit. A busy machine is
/// not slow each time, but slow code is.
pub(crate) async fn within<F: Future<Output = Duration>>(limit: Duration, measure: impl Fn() -> F) {
    const TRIES: usize = 3;
    const REPEATS: usize = 7;
    let mut medians = Vec::new();
    while medians.len() < TRIES {
        let mut took = Vec::new();
        while took.len() < REPEATS {
            took.push(measure().await);
        }
        took.sort_unstable();
        let median = took[REPEATS / 2];
        if median <= limit {
            println!("{median:?} in the middle of {took:?}");
            return;
        }
        medians.push(median);
    }
    panic!("in the middle they took {medians:?}, more than {limit:?}");
}
