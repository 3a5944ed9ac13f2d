//! The bounded queue of log lines, and the thread that writes them.
//!
//! `tracing-appender` has such a queue, too. It is bounded in lines instead of bytes, allocates
//! every line, and writes to standard output if it cannot flush at the end. Usage records may go
//! there.

use std::{
    cell::Cell,
    fmt, io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::metrics::counter::Counter;

/// The maximum size of the queue in bytes: about ten thousand lines.
const QUEUE: usize = 4 << 20;
/// The capacity that a buffer keeps when it is empty, in bytes.
const KEPT: usize = 64 << 10;
/// The pause before a write to an output that is not ready is repeated.
const PAUSE: Duration = Duration::from_millis(10);

thread_local! {
    /// Whether lines of this thread are part of the report of dropped lines.
    static REPORTS: Cell<bool> = const { Cell::new(false) };
}

/// The queue. Writing to it never waits for the output: lines that do not fit are dropped and
/// counted.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Signals that there are lines for the thread.
    added: Condvar,
    /// Signals that the thread has written all lines.
    written: Condvar,
    dropped: Counter,
}

#[derive(Default)]
struct State {
    lines: Lines,
    /// Whether the thread writes lines that it has taken.
    is_writing: bool,
    /// Whether the thread waits for lines. Waking it is a system call, even if it does not wait.
    is_waiting: bool,
    /// How many callers of `flush` wait. Waking them is a system call, even if there are none.
    flushing: usize,
    /// The report of dropped lines. The queue may be full again, so the report has its own place.
    report: Vec<u8>,
}

/// Consecutive lines.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// The offset of the end of each line.
    ends: Vec<usize>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

/// Each call of `write` adds one line, as `tracing_subscriber` does for each event.
impl io::Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    /// Starts the thread, which runs until the process ends.
    ///
    /// # Errors
    /// Fails if the thread cannot be started.
    pub(super) fn start(
        output: impl io::Write + Send + 'static,
        dropped: Counter,
    ) -> io::Result<Arc<Self>> {
        let queue = Self::new(dropped);
        let own = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || own.run(output))?;
        Ok(queue)
    }

    fn new(dropped: Counter) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            added: Condvar::new(),
            written: Condvar::new(),
            dropped,
        })
    }

    /// Adds a line, or drops it if the queue is full.
    pub(super) fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        if REPORTS.get() {
            state.report.extend_from_slice(line);
            return;
        }
        let lines = &mut state.lines;
        if lines.bytes.len().saturating_add(line.len()) > QUEUE {
            drop(state);
            self.dropped.inc();
            return;
        }
        lines.bytes.extend_from_slice(line);
        lines.ends.push(lines.bytes.len());
        // The first line wakes the thread, which then looks for more by itself.
        let wakes = mem::take(&mut state.is_waiting);
        drop(state);
        if wakes {
            self.added.notify_one();
        }
    }

    /// Waits until all lines are written, for at most this time. Returns whether they are.
    pub(super) fn flush(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.lock();
        while state.is_writing || !state.lines.bytes.is_empty() {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return false;
            };
            state.flushing += 1;
            let waited = self.written.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.flushing -= 1;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut output: impl io::Write) -> ! {
        let mut reported = self.dropped.get();
        let mut lines = Lines::default();
        loop {
            self.take(&mut lines);
            if lines.write_to(&mut output, &self.dropped) {
                reported = self.report(&mut output, reported);
            }
            lines.clear();
        }
    }

    /// Writes how many lines were dropped, of which this many are reported already. Returns the
    /// number reported afterwards. If the output fails, a later report has the whole number.
    fn report(&self, output: &mut impl io::Write, reported: u64) -> u64 {
        let dropped = self.dropped.get();
        if dropped == reported {
            return reported;
        }
        // The event has the format of all lines. It is empty if the level of the log excludes it.
        REPORTS.set(true);
        tracing::warn!(
            lines = dropped - reported,
            "dropped log lines: standard error was not read in time, or failed"
        );
        REPORTS.set(false);
        let line = mem::take(&mut self.lock().report);
        if write_all(output, &line).is_ok() {
            dropped
        } else {
            reported
        }
    }

    /// Waits for lines and takes all of them. The lines that were taken before count as written.
    fn take(&self, lines: &mut Lines) {
        let mut state = self.lock();
        state.is_writing = false;
        while state.lines.bytes.is_empty() {
            if state.flushing > 0 {
                self.written.notify_all();
            }
            state.is_waiting = true;
            state = self
                .added
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.is_waiting = false;
        state.is_writing = true;
        mem::swap(&mut state.lines, lines);
    }
}

impl Lines {
    /// Writes all lines. Returns false and counts the lines that are not written completely if the
    /// output fails, for example because its reader has closed it.
    fn write_to(&self, output: &mut impl io::Write, dropped: &Counter) -> bool {
        let Err(at) = write_all(output, &self.bytes) else {
            return true;
        };
        let written = self.ends.partition_point(|end| *end <= at);
        dropped.inc_by((self.ends.len() - written) as u64);
        false
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.ends.clear();
        self.ends.shrink_to(KEPT / size_of::<usize>());
    }
}

/// Writes all bytes, even if the output is not always ready.
///
/// # Errors
/// Fails with the number of bytes that were written, if the output fails.
fn write_all(output: &mut impl io::Write, bytes: &[u8]) -> Result<(), usize> {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match output.write(rest) {
            Ok(count) if count > 0 => at += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Another process can make a shared output non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(PAUSE);
            }
            Ok(_) | Err(_) => return Err(at),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::mpsc, thread};

    use tracing::Dispatch;

    use super::*;

    /// An output that accepts as many bytes as the test orders, and reports the bytes that it
    /// received.
    struct Obedient {
        got: mpsc::Sender<Vec<u8>>,
        orders: mpsc::Receiver<io::Result<usize>>,
    }

    impl Write for Obedient {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The test has ended if it gives no more orders.
            let count = self.orders.recv().unwrap_or(Ok(usize::MAX))?;
            let count = count.min(bytes.len());
            let _over = self.got.send(bytes[..count].to_vec());
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Test {
        queue: Arc<Queue>,
        got: mpsc::Receiver<Vec<u8>>,
        orders: mpsc::Sender<io::Result<usize>>,
        dropped: Counter,
    }

    /// Starts a queue. Its thread logs to it, as if it were the queue of the process.
    ///
    /// Every test logs the report. `tracing` would otherwise remember for all threads that the
    /// first one has no use for it.
    fn start() -> Test {
        let ((sender, got), (orders, receiver)) = (mpsc::channel(), mpsc::channel());
        let dropped = Counter::default();
        let output = Obedient {
            got: sender,
            orders: receiver,
        };
        let queue = Queue::new(dropped.clone());
        let lines = tracing_subscriber::fmt().json().flatten_event(true);
        let log: Dispatch = lines.with_writer(Arc::clone(&queue)).finish().into();
        let own = Arc::clone(&queue);
        thread::spawn(move || {
            tracing::dispatcher::with_default(&log, || -> () { own.run(output) });
        });
        Test {
            queue,
            got,
            orders,
            dropped,
        }
    }

    /// The number in a report.
    fn reported(line: &[u8]) -> u64 {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert_eq!(line["level"], "WARN");
        line["lines"].as_u64().unwrap()
    }

    /// Waits until the thread has taken what was added so far.
    fn taken(queue: &Queue) {
        while !queue.lock().lines.bytes.is_empty() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_stuck_output_delays_nothing_and_the_queue_is_bounded() {
        let test = start();
        test.queue.add(b"first\n");
        taken(&test.queue);
        let line = [b'x'; 1024];
        for _ in 0..QUEUE / line.len() + 7 {
            (&*test.queue).write_all(&line).unwrap();
        }
        assert_eq!(test.dropped.get(), 7);
        // The shutdown waits no longer than its limit.
        assert!(!test.queue.flush(Duration::from_millis(10)));
        // Lines that fit into the queue are written as soon as the output accepts them.
        for _ in 0..3 {
            test.orders.send(Ok(usize::MAX)).unwrap();
        }
        assert_eq!(test.got.recv().unwrap(), b"first\n");
        assert_eq!(reported(&test.got.recv().unwrap()), 7);
        assert_eq!(test.got.recv().unwrap().len(), QUEUE);
        assert!(test.queue.flush(Duration::from_secs(60)));
    }

    #[test]
    fn lines_are_written_in_order_whatever_the_output_accepts_at_once() {
        let test = start();
        for order in [Ok(3), Ok(1), Err(io::ErrorKind::WouldBlock.into())] {
            test.orders.send(order).unwrap();
        }
        test.queue.add(b"one\n");
        test.orders
            .send(Err(io::ErrorKind::Interrupted.into()))
            .unwrap();
        test.queue.add(b"two\n");
        test.queue.add(b"three\n");
        drop(test.orders);
        assert!(test.queue.flush(Duration::from_secs(60)));
        let all: Vec<u8> = test.got.try_iter().flatten().collect();
        assert_eq!(all, b"one\ntwo\nthree\n");
        assert_eq!(test.dropped.get(), 0);
    }

    #[test]
    fn lines_that_an_output_refuses_are_counted_and_later_ones_are_written() {
        let test = start();
        test.queue.add(b"0\n");
        taken(&test.queue);
        for line in [&b"1\n"[..], b"2\n", b"3\n"] {
            test.queue.add(line);
        }
        // The second write accepts one line and a half.
        for order in [Ok(2), Ok(3), Err(io::ErrorKind::BrokenPipe.into())] {
            test.orders.send(order).unwrap();
        }
        assert!(test.queue.flush(Duration::from_secs(60)));
        assert_eq!(test.dropped.get(), 2);
        test.queue.add(b"4\n");
        for _ in 0..2 {
            test.orders.send(Ok(usize::MAX)).unwrap();
        }
        assert!(test.queue.flush(Duration::from_secs(60)));
        let mut all: Vec<_> = test.got.try_iter().collect();
        assert_eq!(reported(&all.pop().unwrap()), 2);
        assert_eq!(all, [&b"0\n"[..], b"1\n2", b"4\n"]);
    }
    #[test]
    fn the_report_of_dropped_lines_arrives_whole_although_the_queue_is_full() {
        let test = start();
        let add = |count| (0..count).for_each(|_| test.queue.add(&[b'x'; 1024]));
        let accepted = |order| {
            test.orders.send(Ok(order)).unwrap();
            test.got.recv().unwrap()
        };
        test.queue.add(b"first\n");
        taken(&test.queue);
        add(QUEUE / 1024 + 7);
        assert_eq!(accepted(usize::MAX), b"first\n");
        let mut report = accepted(1);
        // Dropped while the first report is written.
        add(3);
        report.append(&mut accepted(usize::MAX));
        assert_eq!(reported(&report), 7);
        assert_eq!(accepted(usize::MAX).len(), QUEUE);
        // The output refuses the second report, so the next report includes its number.
        let closed = io::ErrorKind::BrokenPipe;
        test.orders.send(Err(closed.into())).unwrap();
        assert!(test.queue.flush(Duration::from_secs(60)));
        assert_eq!(test.dropped.get(), 10);
        test.queue.add(b"refused\n");
        test.orders.send(Err(closed.into())).unwrap();
        assert!(test.queue.flush(Duration::from_secs(60)));
        test.queue.add(b"last\n");
        assert_eq!(accepted(usize::MAX), b"last\n");
        assert_eq!(reported(&accepted(usize::MAX)), 4);
        assert!(test.queue.flush(Duration::from_secs(60)));
        assert_eq!(test.dropped.get(), 11);
        assert!(test.got.try_recv().is_err());
    }
}
