//! Handles the signals of commands that serve. The first SIGTERM or Ctrl-C begins a drain, the
//! second one ends the process immediately. On SIGHUP, `serve` reads its configuration again; other
//! commands ignore it.

use std::{io, sync::Arc};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

use crate::server::Stop;

/// Ignores SIGHUP, which otherwise ends the process. Fails if the signal handler cannot be
/// installed.
pub fn ignore_hangup() -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP ignored: there is no configuration file to read again");
        }
    });
    Ok(())
}

/// Returns a [`Notify`] that is notified on SIGHUP. Fails if the signal handler cannot be
/// installed.
pub fn hangup() -> io::Result<Arc<Notify>> {
    let mut hangup = signal(SignalKind::hangup())?;
    let requested = Arc::new(Notify::new());
    let told = Arc::clone(&requested);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP: the configuration is read again");
            told.notify_one();
        }
    });
    Ok(requested)
}

/// Returns the tokens that are cancelled by SIGTERM and Ctrl-C. Fails if the signal handlers cannot
/// be installed.
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
