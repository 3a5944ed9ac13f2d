//! Ctrl-C, as something that a command can wait for.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlC, ctrl_c};

/// Presses of Ctrl-C from here on. They no longer end the process.
#[derive(Debug)]
pub struct Interrupts {
    #[cfg(unix)]
    signal: Signal,
    #[cfg(windows)]
    signal: CtrlC,
}

impl Interrupts {
    /// Takes Ctrl-C over. Errors: the operating system's.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            signal: signal(SignalKind::interrupt())?,
            #[cfg(windows)]
            signal: ctrl_c()?,
        })
    }

    /// The next press. Dropping the future loses none.
    pub async fn pressed(&mut self) {
        self.signal.recv().await;
    }
}
