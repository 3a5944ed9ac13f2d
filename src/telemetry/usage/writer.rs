//! Writes usage records to a sink. Calls never wait for the sink: they put records into a bounded
//! queue, and a thread writes the records in batches. While the sink fails, the thread retries.
//! Records that do not fit into the queue are dropped and counted.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;

use super::record::UsageRecord;

/// The maximum number of records in the queue. They need about 10 MB.
const QUEUE: usize = 10_000;
/// The maximum number of records in one batch.
const BATCH: usize = 512;
/// The pause before a retry.
const PAUSE: Duration = Duration::from_secs(1);
/// The minimum time between two log lines about failures.
const SILENCE: Duration = Duration::from_secs(60);

/// A destination of usage records.
pub(super) trait Sink: Send + 'static {
    /// Returns the name of the sink in metrics and in the log.
    fn name(&self) -> &'static str;

    /// Writes records, in their order. Blocks until the sink has accepted them.
    ///
    /// # Errors
    /// Returns the number of records that were written before the failure.
    fn write(&mut self, records: &[Arc<UsageRecord>]) -> Result<(), SinkFailure>;
}

/// Why a batch was not written completely.
#[derive(Debug)]
pub(super) struct SinkFailure {
    /// The number of records that were written.
    pub(super) written: usize,
    /// What went wrong.
    pub(super) error: String,
}

/// The queue of a sink, and the thread that empties it. The thread runs until [`Writer::end`] is
/// called.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    ended: watch::Receiver<bool>,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    written: Counter,
    dropped: Counter,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Queue {
    records: VecDeque<Arc<UsageRecord>>,
    /// Whether the queue is closing: no more records are accepted, and failed writes are not
    /// retried.
    is_closing: bool,
    /// Whether the thread waits for records. It is notified only if it does, because a notification
    /// is a system call.
    is_waiting: bool,
}

impl Writer {
    /// Starts the thread of a sink.
    ///
    /// # Errors
    /// Fails if the thread cannot be started.
    pub(super) fn start(sink: impl Sink, written: Counter, dropped: Counter) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            written,
            dropped,
        });
        let (end, ended) = watch::channel(false);
        let own = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("usage-{}", sink.name()))
            .spawn(move || {
                own.run(sink);
                // This fails only if no caller waits for the end of the thread.
                let _told = end.send(true);
            })?;
        Ok(Self { shared, ended })
    }

    /// Adds a record to the queue, or drops it if the queue is full.
    pub(super) fn send(&self, record: Arc<UsageRecord>) {
        let mut queue = self.shared.lock();
        if queue.is_closing || queue.records.len() >= QUEUE {
            drop(queue);
            self.shared.dropped.inc();
            return;
        }
        queue.records.push_back(record);
        let wakes = std::mem::take(&mut queue.is_waiting);
        drop(queue);
        if wakes {
            self.shared.changed.notify_one();
        }
    }

    /// Writes the records in the queue, for at most this time. The remaining records are dropped.
    pub(super) async fn end(&self, limit: Duration) {
        self.shared.lock().is_closing = true;
        self.shared.changed.notify_one();
        let mut ended = self.ended.clone();
        let in_time = tokio::time::timeout(limit, ended.wait_for(|ended| *ended));
        if in_time.await.is_err() {
            let left = self.shared.lock().records.drain(..).count();
            self.shared.dropped.inc_by(left as u64);
            tracing::warn!(
                records = left,
                "dropped usage records: the sink did not accept them in time at shutdown"
            );
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes records until the queue is closed and empty.
    fn run(&self, mut sink: impl Sink) {
        let mut told = None;
        while let Some(batch) = self.next_batch() {
            self.write(&mut sink, &batch, &mut told);
        }
    }

    /// Waits for records. Returns `None` when the queue is closed and empty.
    fn next_batch(&self) -> Option<Vec<Arc<UsageRecord>>> {
        let mut queue = self.lock();
        while queue.records.is_empty() {
            if queue.is_closing {
                return None;
            }
            queue.is_waiting = true;
            queue = self
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        queue.is_waiting = false;
        let size = queue.records.len().min(BATCH);
        Some(queue.records.drain(..size).collect())
    }

    /// Writes a batch. While the sink fails, retries until the queue is closing.
    fn write(&self, sink: &mut impl Sink, batch: &[Arc<UsageRecord>], told: &mut Option<Instant>) {
        let mut rest = batch;
        loop {
            let Err(SinkFailure { written, error }) = sink.write(rest) else {
                self.written.inc_by(rest.len() as u64);
                if told.take().is_some() {
                    tracing::info!(sink = sink.name(), "usage records are written again");
                }
                return;
            };
            self.written.inc_by(written as u64);
            rest = rest.get(written..).unwrap_or_default();
            if told.is_none_or(|at| at.elapsed() >= SILENCE) {
                *told = Some(Instant::now());
                tracing::warn!(
                    sink = sink.name(),
                    error,
                    dropped = self.dropped.get(),
                    "usage records cannot be written; the gateway tries again, and calls are not affected"
                );
            }
            if self.is_closing_within(PAUSE) {
                self.dropped.inc_by(rest.len() as u64);
                tracing::warn!(
                    sink = sink.name(),
                    records = rest.len(),
                    error,
                    "dropped usage records at shutdown"
                );
                return;
            }
        }
    }

    /// Waits for this time, or until the queue is closing. Returns whether it is closing.
    fn is_closing_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut queue = self.lock();
        while !queue.is_closing {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return false;
            };
            let waited = self.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::telemetry::usage::record::tests::record;

    /// A sink that sends the size of each batch to the test, and returns what the test orders.
    struct Obedient {
        got: mpsc::Sender<usize>,
        orders: mpsc::Receiver<Result<(), usize>>,
    }

    impl Sink for Obedient {
        fn name(&self) -> &'static str {
            "test"
        }

        fn write(&mut self, records: &[Arc<UsageRecord>]) -> Result<(), SinkFailure> {
            self.got.send(records.len()).unwrap();
            // If the test sends no more orders, it has ended.
            self.orders
                .recv()
                .unwrap_or(Err(0))
                .map_err(|written| SinkFailure {
                    written,
                    error: "no room".to_owned(),
                })
        }
    }

    struct Test {
        writer: Writer,
        got: mpsc::Receiver<usize>,
        orders: mpsc::Sender<Result<(), usize>>,
        written: Counter,
        dropped: Counter,
    }

    fn start() -> Test {
        let ((sender, got), (orders, receiver)) = (mpsc::channel(), mpsc::channel());
        let (written, dropped) = (Counter::default(), Counter::default());
        let sink = Obedient {
            got: sender,
            orders: receiver,
        };
        Test {
            writer: Writer::start(sink, written.clone(), dropped.clone()).unwrap(),
            got,
            orders,
            written,
            dropped,
        }
    }

    /// Checks the loss if a sink hangs: it holds one batch, and the queue is full.
    #[tokio::test]
    async fn a_stuck_sink_delays_nothing_and_loses_a_bounded_number() {
        let test = start();
        test.writer.send(record());
        assert_eq!(test.got.recv(), Ok(1));
        for _ in 0..QUEUE + 7 {
            test.writer.send(record());
        }
        assert_eq!(test.dropped.get(), 7);
        // The shutdown waits no longer than its time limit.
        test.writer.end(Duration::from_millis(20)).await;
        assert_eq!(test.dropped.get(), 7 + QUEUE as u64);
        assert_eq!(test.written.get(), 0);
        // Records of calls that end after the shutdown are counted as dropped.
        test.writer.send(record());
        assert_eq!(test.dropped.get(), 8 + QUEUE as u64);
    }

    #[tokio::test]
    async fn the_rest_of_a_batch_is_written_after_a_failure() {
        let test = start();
        test.writer.send(record());
        assert_eq!(test.got.recv(), Ok(1));
        for _ in 0..4 {
            test.writer.send(record());
        }
        test.orders.send(Ok(())).unwrap();
        assert_eq!(test.got.recv(), Ok(4));
        test.orders.send(Err(3)).unwrap();
        // The thread retries with the record that was not written.
        assert_eq!(test.got.recv(), Ok(1));
        test.orders.send(Ok(())).unwrap();
        test.writer.end(Duration::from_secs(60)).await;
        assert_eq!((test.written.get(), test.dropped.get()), (5, 0));
    }

    #[tokio::test]
    async fn what_fails_at_the_end_is_dropped_and_counted() {
        let test = start();
        test.writer.send(record());
        assert_eq!(test.got.recv(), Ok(1));
        test.writer.send(record());
        for written in [0, 0] {
            test.orders.send(Err(written)).unwrap();
        }
        test.writer.end(Duration::from_secs(60)).await;
        assert_eq!((test.written.get(), test.dropped.get()), (0, 2));
    }
}
