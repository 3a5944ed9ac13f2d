//! What a load observes.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::Error;

/// Counts tokens and calls, and records times to the first message and delays of tokens.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// The time between two tokens of a stream. Without it, delays are not recorded.
    period: Option<Duration>,
    delays: Mutex<Vec<Duration>>,
    tokens: AtomicU64,
    calls: AtomicU64,
    answered: AtomicU64,
    first: Mutex<Vec<Duration>>,
    failure: Mutex<Option<String>>,
}

/// The counts so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    /// Content deltas.
    pub(crate) tokens: u64,
    /// Calls that have ended.
    pub(crate) calls: u64,
    /// Slots that have received a message.
    pub(crate) answered: u64,
}

impl Watch {
    /// Returns an observer of streams whose tokens are sent at this interval.
    pub(super) fn with_period(period: Option<Duration>) -> Self {
        Self {
            period,
            ..Self::default()
        }
    }

    pub(crate) fn count(&self) -> Count {
        Count {
            tokens: self.tokens.load(Ordering::Relaxed),
            calls: self.calls.load(Ordering::Relaxed),
            answered: self.answered.load(Ordering::Relaxed),
        }
    }

    /// Returns the times to the first message that were recorded since the last call of this
    /// function.
    pub(crate) fn take_first(&self) -> Vec<Duration> {
        std::mem::take(&mut self.first.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the delays of tokens that were recorded since the last call of this function.
    pub(crate) fn take_delays(&self) -> Vec<Duration> {
        std::mem::take(&mut self.delays.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// # Errors
    /// Fails if a call failed, because the measurement is then invalid.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        match &*failure {
            None => Ok(()),
            Some(failure) => Err(format!("a call failed: {failure}").into()),
        }
    }

    pub(super) fn fail(&self, error: &dyn std::error::Error) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| error.to_string());
    }

    /// Starts to observe a call that begins now.
    pub(super) fn call(&self, first_of_slot: bool) -> Call<'_> {
        Call {
            watch: self,
            begun: Instant::now(),
            first_of_slot,
            answered: false,
            due: None,
        }
    }
}

/// One call in progress.
pub(super) struct Call<'a> {
    watch: &'a Watch,
    begun: Instant,
    first_of_slot: bool,
    answered: bool,
    /// When the next token is due: one period after the last one was due, or after it arrived if it
    /// arrived earlier. A stream's earliest token so far is its reference.
    due: Option<Instant>,
}

impl Call<'_> {
    /// Records that a message arrived.
    pub(super) fn message(&mut self, is_token: bool) {
        if !std::mem::replace(&mut self.answered, true) {
            let took = self.begun.elapsed();
            let mut first = self
                .watch
                .first
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            first.push(took);
            self.watch
                .answered
                .fetch_add(u64::from(self.first_of_slot), Ordering::Relaxed);
        }
        self.watch
            .tokens
            .fetch_add(u64::from(is_token), Ordering::Relaxed);
        if let (true, Some(period)) = (is_token, self.watch.period) {
            self.delay(period);
        }
    }

    fn delay(&mut self, period: Duration) {
        let now = Instant::now();
        let due = self.due.map_or(now, |due| due.min(now));
        self.due = Some(due + period);
        let mut delays = self
            .watch
            .delays
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        delays.push(now - due);
    }

    /// Records that the call ended successfully.
    pub(super) fn ended(self) {
        self.watch.calls.fetch_add(1, Ordering::Relaxed);
    }
}
