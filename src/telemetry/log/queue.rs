//! The bounded queue of log lines, and the thread that writes them.
//!
//! `tracing-appender` has a similar queue. But it limits the number of lines instead of bytes,
//! allocates every line, and writes to standard output if it cannot flush at the end. Standard
//! output may be used for usage records.

use std::{
    cell::Cell,
    fmt, io, mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::metrics::counter::Counter;

/// The maximum size of the queue in bytes: about ten thousand lines.
const QUEUE: usize = 4 << 20;
/// The capacity that an empty buffer keeps, in bytes.
const KEPT: usize = 64 << 10;
/// The pause before a write is retried, if the output is not ready.
const PAUSE: Duration = Duration::from_millis(10);

thread_local! {
    /// Whether this thread is currently logging the report of dropped lines.
    static REPORTS: Cell<bool> = const { Cell::new(false) };
}

/// The queue. Adding a line never waits for the output: lines that do not fit are dropped and
/// counted.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Signals that lines were added.
    added: Condvar,
    /// Signals that the thread has written all lines.
    written: Condvar,
    dropped: Counter,
}

#[derive(Default)]
struct State {
    lines: Lines,
    /// Whether the thread is writing lines that it has taken from the queue.
    is_writing: bool,
    /// Whether the thread waits for lines. It is notified only if it does, because a notification
    /// is a system call.
    is_waiting: bool,
    /// The number of callers of `flush` that wait. They are notified only if there are any, because
    /// a notification is a system call.
    flushing: usize,
    /// The report of dropped lines. It is kept outside of the queue, which may be full again.
    report: Vec<u8>,
}

/// A sequence of lines in one buffer.
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
        // The first line wakes the thread. The thread then takes further lines without being woken.
        let wakes = mem::take(&mut state.is_waiting);
        drop(state);
        if wakes {
            self.added.notify_one();
        }
    }

    /// Waits until all lines are written, for at most this time. Returns whether they were written.
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

    /// Writes the number of dropped lines if it is higher than `reported`, the number in earlier
    /// reports. Returns the number that is reported now. If the output fails, a later report
    /// includes these lines.
    fn report(&self, output: &mut impl io::Write, reported: u64) -> u64 {
        let dropped = self.dropped.get();
        if dropped == reported {
            return reported;
        }
        // The event is formatted like all lines. Nothing is written if the level of the log
        // excludes the event.
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

    /// Waits for lines and takes all of them. Calling it means that all lines that were taken
    /// before have been written.
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
    /// Writes all lines. If the output fails, for example because its reader has closed it, returns
    /// false and counts the lines that were not written completely.
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

/// Writes all bytes. Waits while the output is not ready.
///
/// # Errors
/// If the output fails, returns the number of bytes that were written.
fn write_all(output: &mut impl io::Write, bytes: &[u8]) -> Result<(), usize> {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match output.write(rest) {
            Ok(count) if count > 0 => at += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The output can be shared with another process, which may have made it non-blocking.
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

    /// An output that accepts as many bytes as the test orders, and sends the bytes that it
    /// received to the test.
    struct Obedient {
        got: mpsc::Sender<Vec<u8>>,
        orders: mpsc::Receiver<io::Result<usize>>,
    }

    impl Write for Obedient {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // If the test sends no more orders, it has ended.
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

    /// Starts a queue. Its thread logs to this queue, as the thread of the process does.
    ///
    /// The thread of every test has a subscriber for the event of the report. Otherwise `tracing`
    /// could cache, for all threads, that no subscriber wants this event.
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

    /// Returns the number in a report.
    fn reported(line: &[u8]) -> u64 {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert_eq!(line["level"], "WARN");
        line["lines"].as_u64().unwrap()
    }

    /// Waits until the thread has taken all lines that were added so far.
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
        // Flushing waits no longer than its time limit.
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
        // The second write accepts one and a half lines.
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
        // These lines are dropped while the first report is written.
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
