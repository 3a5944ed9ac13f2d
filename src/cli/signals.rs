//! Handles the signals of commands that serve: the first SIGTERM or Ctrl-C begins a drain, the
//! second one ends the process immediately, and SIGHUP is ignored.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use crate::server::Stop;

/// Ignores SIGHUP, which by default ends a process. Fails if the signal handler cannot be
/// installed.
pub fn ignore_hangup() -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!(
                "SIGHUP ignored: the configuration is read at the start only; restart to apply changes"
            );
        }
    });
    Ok(())
}

/// Returns the tokens that this process's signals cancel. Fails if the signal handlers cannot be
/// installed.
pub fn stop() -> io::Result<Stop> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    ignore_hangup()?;
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
