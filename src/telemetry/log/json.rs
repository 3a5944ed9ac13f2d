//! Writes events as JSON, one object per line, in the format of `tracing_subscriber`.
//!
//! `tracing_subscriber` copies each value several times. Here, each value is written directly into
//! the line. A log line for each call is a large part of the cost of a small call.

use std::{
    cell::RefCell,
    error::Error as StdError,
    fmt::{self, Write as _},
    io::Write as _,
    sync::Arc,
    time::SystemTime,
};

use time::OffsetDateTime;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

use super::queue::Queue;
use crate::telemetry::json::{Escaped, write_text};

/// The capacity that an empty line keeps, in bytes.
const KEPT: usize = 4 << 10;

thread_local! {
    /// The line that is being written.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A layer that adds each event to the queue.
pub(super) struct JsonLines {
    queue: Arc<Queue>,
}

impl JsonLines {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    fn add(&self, line: &mut Vec<u8>, event: &Event<'_>) {
        line.clear();
        write(line, SystemTime::now(), event);
        self.queue.add(line);
        line.shrink_to(KEPT);
    }
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let added = LINE.try_with(|line| {
            let mut line = line.try_borrow_mut().ok()?;
            self.add(&mut line, event);
            Some(())
        });
        // The thread is ending, or the value of another event logs an event.
        if !matches!(added, Ok(Some(()))) {
            self.add(&mut Vec::new(), event);
        }
    }
}

/// Appends an event with its line break.
fn write(line: &mut Vec<u8>, now: SystemTime, event: &Event<'_>) {
    line.extend_from_slice(br#"{"timestamp":""#);
    write_time(line, now);
    line.extend_from_slice(br#"","level":""#);
    let metadata = event.metadata();
    line.extend_from_slice(metadata.level().as_str().as_bytes());
    line.push(b'"');
    event.record(&mut Members(line));
    line.extend_from_slice(br#","target":"#);
    write_text(line, metadata.target());
    line.extend_from_slice(b"}\n");
}

/// Appends a time as RFC 3339, in UTC, with microseconds.
fn write_time(line: &mut Vec<u8>, time: SystemTime) {
    let time = OffsetDateTime::from(time);
    // Writing to memory cannot fail.
    let _infallible = write!(
        line,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.microsecond(),
    );
}

/// Writes the fields of an event as members of an object that already has members.
struct Members<'a>(&'a mut Vec<u8>);

impl Members<'_> {
    fn name(&mut self, field: &Field) {
        self.0.push(b',');
        write_text(self.0, field.name());
        self.0.push(b':');
    }

    fn number(&mut self, field: &Field, value: impl serde::Serialize) {
        self.name(field);
        // Numbers can always be written. Those that JSON does not have become `null`.
        let _infallible = serde_json::to_writer(&mut *self.0, &value);
    }

    fn display(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        self.name(field);
        self.0.push(b'"');
        // A value that cannot be formatted is cut off.
        let _formatted = Escaped(&mut *self.0).write_fmt(value);
        self.0.push(b'"');
    }
}

impl Visit for Members<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        write_text(self.0, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        self.display(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.display(field, format_args!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Mutex, PoisonError},
    };

    use proptest::prelude::*;
    use tracing_subscriber::{
        fmt::{MakeWriter, format::Writer, time::FormatTime},
        layer::SubscriberExt,
    };

    use super::*;

    /// The time of all events of the test.
    #[derive(Clone, Copy)]
    struct Now(SystemTime);

    /// Writes the time as the library does, but not the current time.
    impl FormatTime for Now {
        fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
            let mut text = Vec::new();
            write_time(&mut text, self.0);
            writer.write_str(&String::from_utf8(text).unwrap())
        }
    }

    /// Collects what is written.
    #[derive(Clone, Default)]
    struct Collected(Arc<Mutex<Vec<u8>>>);

    impl Collected {
        fn take(&self) -> String {
            let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8(std::mem::take(&mut bytes)).unwrap()
        }
    }

    impl io::Write for Collected {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Collected {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// Writes each event as the layer does, with a given time.
    struct AsLayer(Collected, Now);

    impl<S: Subscriber> Layer<S> for AsLayer {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut line = Vec::new();
            write(&mut line, self.1.0, event);
            self.0.0.lock().unwrap().extend_from_slice(&line);
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("failed: {0}")]
    struct Failed(String);

    proptest! {
        #[test]
        fn lines_are_those_of_the_library(
            text in any::<String>(),
            float in any::<f64>(),
            signed in any::<i64>(),
            large in any::<u128>(),
            optional in any::<Option<u64>>(),
            micros in 0..4_102_444_800_000_000_u64,
        ) {
            let now = Now(SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(micros));
            let (ours, theirs) = (Collected::default(), Collected::default());
            let library = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_timer(now)
                .with_writer(theirs.clone());
            let subscriber = tracing_subscriber::registry()
                .with(library)
                .with(AsLayer(ours.clone(), now));
            let error = Failed(text.clone());
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(
                    text,
                    shown = %text,
                    debugged = ?text,
                    error = &error as &dyn StdError,
                    float,
                    signed,
                    large,
                    optional,
                    is_true = signed > 0,
                    "a message with {text:?}"
                );
                tracing::info!("only a message");
                tracing::error!(target: "other \"target\"", only = 1);
            });
            prop_assert_eq!(ours.take(), theirs.take());
        }
    }

    #[test]
    fn times_have_microseconds() {
        let mut line = Vec::new();
        let time = std::time::Duration::from_micros(1_767_323_045_000_042);
        write_time(&mut line, SystemTime::UNIX_EPOCH + time);
        assert_eq!(line, b"2026-01-02T03:04:05.000042Z");
    }
}
