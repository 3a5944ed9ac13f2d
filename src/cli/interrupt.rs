//! Handles Ctrl-C, which cancels a call.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC, ctrl_c};

use super::{exit::Exit, failure::Failure, output::Output};

/// Receives Ctrl-C. While this exists, Ctrl-C does not end the process by itself.
#[derive(Debug)]
pub struct Interrupts {
    #[cfg(unix)]
    signal: Signal,
    #[cfg(windows)]
    signal: CtrlC,
}

impl Interrupts {
    /// Starts to receive Ctrl-C. Fails if the signal handler cannot be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            signal: signal(SignalKind::interrupt())?,
            #[cfg(windows)]
            signal: ctrl_c()?,
        })
    }

    /// Waits for the next Ctrl-C. If the future is dropped, no Ctrl-C is lost.
    pub async fn pressed(&mut self) {
        self.signal.recv().await;
    }

    /// Makes a call, which Ctrl-C cancels. If the call fails or is cancelled, prints the reason and
    /// returns the exit code.
    pub async fn call<T>(
        &mut self,
        call: impl Future<Output = Result<T, Failure>>,
        output: &mut Output,
    ) -> Result<T, Exit> {
        tokio::select! {
            () = self.pressed() => {
                output.note("cancelled");
                Err(Exit::Cancelled)
            }
            result = call => result.map_err(|failure| {
                failure.print(output);
                failure.exit()
            }),
        }
    }
}
