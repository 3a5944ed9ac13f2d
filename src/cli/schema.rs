//! `schema`: prints the JSON schema of the configuration, for editors and other programs.

use std::io;

use clap::Args;

use super::{exit::Exit, output::Output};
use crate::config;

/// Print the JSON schema of the configuration, for completion and validation in editors
#[derive(Debug, Args)]
pub struct Schema {}

impl Schema {
    /// Prints the schema. Fails if standard output cannot be written.
    pub fn run(self, output: &mut Output) -> io::Result<Exit> {
        output.line(config::SCHEMA.trim_end())?;
        Ok(Exit::Success)
    }
}
