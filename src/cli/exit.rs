//! The exit codes. Codes from 64 to 77 follow `sysexits.h`. 130 is the code that shells use for
//! Ctrl-C.

use std::process::ExitCode;

/// The table of exit codes in `--help`.
pub const HELP: &str = "\
Exit codes:
    0  success
    1  the call failed and a retry would not help, or the answer is incomplete
    2  the command line is wrong
   64  an input file or the configuration is wrong
   69  the gateway cannot be reached
   75  a temporary failure: try again later
   77  not allowed: credentials are missing, wrong, or not enough
  130  cancelled by Ctrl-C";

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command succeeded.
    Success = 0,
    /// The call failed, or its answer is incomplete.
    Failed = 1,
    /// The command line is wrong in a way that clap does not detect.
    Usage = 2,
    /// An input file or the configuration is wrong.
    BadInput = 64,
    /// The gateway cannot be reached, or the connection to it broke.
    Unavailable = 69,
    /// Standard output cannot be written. Used by commands for which [`Exit::Failed`] has another
    /// meaning.
    Output = 74,
    /// The same call may succeed later.
    Temporary = 75,
    /// The credentials of the caller or of the gateway do not allow the call.
    NotAllowed = 77,
    /// Ctrl-C cancelled the command.
    Cancelled = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
