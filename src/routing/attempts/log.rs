//! Records the attempts of a call. The records can be read while the call is running.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    error::{Failure, Reason},
    routing::Route,
    telemetry::trace::{SpanId, new_span_id},
};

/// An attempt and its outcome.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The route.
    pub route: Arc<Route>,
    /// Why the attempt failed. `None` if it was answered or is still running.
    pub failure: Option<Reason>,
    /// Bedrock's request ID. Empty if Bedrock has not answered.
    pub request_id: String,
    /// When the attempt began.
    pub began: Instant,
    /// The time from the start of the attempt to its failure or first event. While it is running,
    /// the time until now.
    pub duration: Duration,
    /// Whether the first event has arrived.
    pub answered: bool,
    /// The ID of the span that was sent to Bedrock.
    pub span_id: SpanId,
}

#[derive(Debug)]
struct Entry {
    attempt: Attempt,
    over: bool,
}

/// The attempts of a call. Cheap to clone. All clones share the same records.
#[derive(Clone, Debug, Default)]
pub struct AttemptLog(Arc<Mutex<Vec<Entry>>>);

impl AttemptLog {
    /// Returns the attempts so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        let now = |entry: &Entry| {
            let mut attempt = entry.attempt.clone();
            if !entry.over {
                attempt.duration = attempt.began.elapsed();
            }
            attempt
        };
        self.entries().iter().map(now).collect()
    }

    /// Returns the span ID of the current attempt.
    pub fn last_span_id(&self) -> SpanId {
        self.entries()
            .last()
            .map_or_else(new_span_id, |entry| entry.attempt.span_id)
    }

    /// Records that an attempt begins on a route.
    pub(crate) fn begin(&self, route: &Arc<Route>) {
        self.entries().push(Entry {
            attempt: Attempt {
                route: Arc::clone(route),
                failure: None,
                request_id: String::new(),
                began: Instant::now(),
                duration: Duration::ZERO,
                answered: false,
                span_id: new_span_id(),
            },
            over: false,
        });
    }

    /// Records that the current attempt was answered.
    pub(crate) fn answered(&self, request_id: &str) {
        self.end(|attempt| {
            attempt.answered = true;
            request_id.clone_into(&mut attempt.request_id);
        });
    }

    /// Records that the current attempt failed.
    pub(crate) fn failed(&self, failure: &Failure) {
        self.end(|attempt| {
            attempt.failure = Some(failure.reason);
            if let Some(upstream) = &failure.upstream {
                attempt.request_id.clone_from(&upstream.request_id);
            }
        });
    }

    fn end(&self, write: impl FnOnce(&mut Attempt)) {
        if let Some(last) = self.entries().last_mut() {
            last.over = true;
            last.attempt.duration = last.attempt.began.elapsed();
            write(&mut last.attempt);
        }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
