//! What the children do. A child is this program again, with the role as its first argument.
//!
//! A child says where it listens, as one line of `name=value` pairs on standard output. For each line on its standard input it says its
//! numbers in the same way, and it lives until its standard input ends: so none outlives the soak.

mod emulator;
mod gateway;

use std::io::{self, BufRead as _, Write as _};

use crate::Error;

/// What a child is, and all that it has to know.
pub(crate) enum Role {
    /// The emulator.
    Emulator,
    /// The gateway in front of this endpoint.
    Gateway { endpoint: String },
}

impl Role {
    /// The arguments that make a child of this role.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Emulator => vec!["role-emulator"],
            Self::Gateway { endpoint } => vec!["role-gateway", endpoint],
        }
    }

    /// The role that arguments say, if they say any.
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

    /// Plays the role until standard input ends.
    pub(crate) fn run(self) -> Result<(), Error> {
        match self {
            Self::Emulator => emulator::run(),
            Self::Gateway { endpoint } => gateway::run(endpoint),
        }
    }
}

/// Tells the parent something.
fn say(pairs: &[(&str, String)]) -> io::Result<()> {
    let pairs: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let mut out = io::stdout().lock();
    writeln!(out, "{}", pairs.join(" "))?;
    out.flush()
}

/// Says the numbers whenever the parent asks, until it goes.
fn answer(numbers: impl Fn() -> Vec<(&'static str, String)>) -> io::Result<()> {
    for asked in io::stdin().lock().lines() {
        asked?;
        say(&numbers())?;
    }
    Ok(())
}
