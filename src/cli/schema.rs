//! `schema`: what a config can hold, for editors and for other programs.

use std::io;

use clap::Args;

use super::{exit::Exit, output::Output};
use crate::config;

/// Print the JSON schema of the config: editors complete and check by it
#[derive(Debug, Args)]
pub struct Schema {}

impl Schema {
    /// Prints. Errors: those of standard output.
    pub fn run(self, output: &mut Output) -> io::Result<Exit> {
        output.line(config::SCHEMA.trim_end())?;
        Ok(Exit::Success)
    }
}
