//! Waits for Ctrl-C, which cancels a call.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC, ctrl_c};

use super::{exit::Exit, failure::Failure, output::Output};

/// Receives Ctrl-C, which then no longer ends the process.
#[derive(Debug)]
pub struct Interrupts {
    #[cfg(unix)]
    signal: Signal,
    #[cfg(windows)]
    signal: CtrlC,
}

impl Interrupts {
    /// Starts to receive Ctrl-C. Fails if the operating system does not allow it.
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

    /// Makes a call, which Ctrl-C cancels. If there is no response, prints why and returns the exit
    /// code.
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
