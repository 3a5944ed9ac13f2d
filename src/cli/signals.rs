//! SIGTERM and Ctrl-C, for commands that serve: the first drains, the second ends at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use crate::server::Stop;

/// What the signals of this process tell from now on. Errors: signals can't be listened to.
pub fn stop() -> io::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = Stop::default();
    let told = stop.clone();
    tokio::spawn(async move {
        for token in [told.drain, told.now] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(stop)
}
