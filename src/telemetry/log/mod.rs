//! Writes log lines to standard error: one JSON object per line, or readable text. Standard output
//! is reserved for commands and usage records.
//!
//! A separate thread writes the lines, because a call must never wait for the reader of the log. If
//! standard error is a full pipe, writing to it blocks.

mod json;
mod level;
mod queue;

use std::{
    any::Any,
    fs::File,
    io::{self, IsTerminal},
    os::fd::AsFd,
    panic::{self, PanicHookInfo},
    sync::{Arc, LazyLock},
    thread,
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;

use tracing_subscriber::{
    filter::{LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

pub use self::level::{Level, LevelHandle};
use self::{json::JsonLines, queue::Queue};
use crate::config::{Log, LogFormat};

/// The crate whose events are logged at the operator's level.
const OWN: &str = env!("CARGO_CRATE_NAME");
/// The maximum level of other crates, by a prefix of an event's target, regardless of `log.level`.
/// Events of the AWS SDK contain credentials and the output of credential processes at every level.
/// Events of other crates contain headers at `trace`.
const OTHERS: &[(&str, LevelFilter)] = &[("aws_", LevelFilter::OFF), ("", LevelFilter::DEBUG)];

/// How long the process waits for the last lines to be written when it ends.
const FLUSH: Duration = Duration::from_secs(1);

/// The number of dropped lines. There is one log in the process.
static DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Returns the number of lines that were dropped because standard error was not read in time, or
/// because writing failed.
pub(super) fn dropped() -> Counter {
    DROPPED.clone()
}

/// The log of the process. Keep this value until the process ends: dropping it writes the last
/// lines.
#[must_use]
#[derive(Debug)]
pub struct Logging {
    queue: Arc<Queue>,
    level: LevelHandle,
}

impl Logging {
    /// Adds text that is not an event, such as the error that ends the process. The text is written
    /// after the lines that were added before it.
    pub fn text(&self, text: &str) {
        self.queue.add(text.as_bytes());
    }

    /// Returns a handle that can change the level later.
    pub fn level(&self) -> LevelHandle {
        self.level.clone()
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        // If standard error is not read in time, the lines are lost.
        let _is_written = self.queue.flush(FLUSH);
    }
}

/// Starts logging for the whole process. Panics are logged, too.
///
/// # Errors
/// Fails if the level cannot be parsed, if logging was started before, or if the thread cannot be
/// started.
pub fn start(log: &Log) -> Result<Logging, String> {
    let (filter, handle) = reload::Layer::new(Level::of(log)?.0);
    let queue = queue().map_err(|error| format!("cannot write the log: {error}"))?;
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(|event| *event.level() <= most(event.target())));
    let started = match log.format {
        LogFormat::Json => registry.with(JsonLines::new(Arc::clone(&queue))).try_init(),
        LogFormat::Text => registry
            .with(
                fmt::layer()
                    .with_writer(Arc::clone(&queue))
                    .with_ansi(io::stderr().is_terminal())
                    // Otherwise the library would write its own errors directly to standard error.
                    .log_internal_errors(false),
            )
            .try_init(),
    };
    started.map_err(|error| error.to_string())?;
    // The default hook writes to standard error, so it could block the panicking thread.
    panic::set_hook(Box::new(log_panic));
    Ok(Logging {
        queue,
        level: LevelHandle(handle),
    })
}

/// Starts the queue whose thread writes to standard error.
fn queue() -> io::Result<Arc<Queue>> {
    // This does not use the lock of `io::stderr`: other threads would wait for it while a write
    // blocks.
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    Queue::start(stderr, dropped())
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    tracing::error!(
        panic = panic_message(panic.payload()),
        location = panic.location().map(tracing::field::display),
        thread = thread::current().name(),
        "a thread panicked; this is a bug"
    );
}

/// Returns the message of a panic if it is a constant. Other messages can quote a request.
pub fn panic_message(payload: &(dyn Any + Send)) -> &'static str {
    let constant = payload.downcast_ref::<&'static str>();
    constant.copied().unwrap_or("not shown: it can quote data")
}

/// Returns the maximum level of events with this target.
fn most(target: &str) -> LevelFilter {
    if target.split("::").next() == Some(OWN) {
        return LevelFilter::TRACE;
    }
    let of_others = OTHERS.iter().find(|(start, _)| target.starts_with(start));
    of_others.map_or(LevelFilter::DEBUG, |(_, most)| *most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_panic_quotes_no_data() {
        let data = String::from("secret\u{e9}");
        let quoting = panic::catch_unwind(|| data[..7].len()).unwrap_err();
        assert_eq!(panic_message(&*quoting), "not shown: it can quote data");
        let constant = panic::catch_unwind(|| panic!("no data")).unwrap_err();
        assert_eq!(panic_message(&*constant), "no data");
    }

    #[test]
    fn other_crates_never_log_what_holds_secrets() {
        for (target, level) in [
            ("bedrock_grpc::bedrock::http", LevelFilter::TRACE),
            ("bedrock_grpc", LevelFilter::TRACE),
            ("bedrock_grpc_other", LevelFilter::DEBUG),
            ("aws_config::credential_process", LevelFilter::OFF),
            ("aws_smithy_runtime::client", LevelFilter::OFF),
            ("aws_sdk_sts", LevelFilter::OFF),
            ("hyper::proto", LevelFilter::DEBUG),
            ("h2", LevelFilter::DEBUG),
        ] {
            assert_eq!(most(target), level, "{target}");
        }
    }
}
