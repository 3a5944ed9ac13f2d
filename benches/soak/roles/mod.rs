//! The roles of the child processes. A child process is this program again, with its role as the
//! first argument.
//!
//! A child process prints its addresses as one line of `name=value` pairs on standard output. For
//! each line on its standard input, it prints its figures in the same form. It lives until its
//! standard input ends, so no child outlives the soak.

mod emulator;
mod gateway;

use std::io::{self, BufRead as _, Write as _};

use crate::Error;

/// The role of a child process, with its parameters.
pub(crate) enum Role {
    /// The emulator.
    Emulator,
    /// The gateway in front of this endpoint.
    Gateway { endpoint: String },
}

impl Role {
    /// Returns the arguments that start a child with this role.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Emulator => vec!["role-emulator"],
            Self::Gateway { endpoint } => vec!["role-gateway", endpoint],
        }
    }

    /// Returns the role that arguments name, if any.
    pub(crate) fn of(arguments: &[String]) -> Option<Self> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            ["role-emulator"] => Some(Self::Emulator),
            ["role-gateway", endpoint] => Some(Self::Gateway {
                endpoint: endpoint.to_owned(),
            }),
            _ => None,
        }
    }

    /// Runs the role until standard input ends.
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Self::Emulator => emulator::run(),
            Self::Gateway { endpoint } => gateway::run(endpoint),
        }
    }
}

/// Sends a line to the parent process.
fn say(pairs: &[(&str, String)]) -> io::Result<()> {
    let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", pairs.join(" "))?;
    out.flush()
}

/// Prints the figures whenever the parent process asks, until it closes the pipe.
fn answer(numbers: impl Fn() -> Vec<(&'static str, String)>) -> io::Result<()> {
    for asked in io::stdin().lock().lines() {
        asked?;
        say(&numbers())?;
    }
    Ok(())
}
