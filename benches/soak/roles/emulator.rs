//! The emulator, with a log that keeps all calls.

use std::time::Duration;

use bedrock_emulator::{Emulator, End, Options, Pace};

use crate::Error;

/// About the pace of a model. Slow enough for 500 streams on two cores.
const TOKENS_PER_SECOND: f64 = 20.0;
/// Calls that are cancelled early are cancelled before this.
const TIME_TO_FIRST_TOKEN: Duration = Duration::from_millis(100);

pub(super) fn run() -> Result<(), Error> {
    let emulator = Emulator::start(Options {
        pace: Pace::tokens_per_second(TIME_TO_FIRST_TOKEN, TOKENS_PER_SECOND),
        keep_calls: usize::MAX,
        ..Options::default()
    })?;
    super::say(&[("http", emulator.addr().to_string())])?;
    super::answer(|| {
        let calls = emulator.calls();
        let ended = |end| {
            calls
                .iter()
                .filter(|call| call.end == end)
                .count()
                .to_string()
        };
        vec![
            ("calls", calls.len().to_string()),
            ("open", ended(None)),
            ("completed", ended(Some(End::Completed))),
            ("faulted", ended(Some(End::Faulted))),
            ("client_gone", ended(Some(End::ClientGone))),
        ]
    })?;
    Ok(())
}
