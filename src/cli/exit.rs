//! What the exit codes mean. Those from 64 on are what `sysexits.h` calls a wrong use, an
//! unavailable service, a temporary failure and a lack of permission; 130 is what shells say of a
//! command that Ctrl-C ended.

use std::process::ExitCode;

/// The exit codes, for the end of `--help`.
pub const HELP: &str = "\
Exit codes:
    0  it worked
    1  the call failed and would fail again; or the answer was cut
    2  the command line is wrong
   64  an input file or the configuration is wrong
   69  the gateway cannot be reached
   75  the call failed for the moment: try again later
   77  not allowed: credentials are missing, wrong, or not enough
  130  cancelled by Ctrl-C";

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It worked.
    Success = 0,
    /// The call failed, or its answer was cut.
    Failed = 1,
    /// The command line is wrong, in a way that only the command itself can see.
    Usage = 2,
    /// An input file or the configuration is wrong.
    BadInput = 64,
    /// The gateway cannot be reached, or the connection to it broke.
    Unavailable = 69,
    /// The same call may succeed later.
    Temporary = 75,
    /// The caller's credentials, or the gateway's, do not suffice.
    NotAllowed = 77,
    /// Ctrl-C.
    Cancelled = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
