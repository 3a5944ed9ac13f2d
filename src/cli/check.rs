//! `check`: everything that is wrong with a config.

use std::{io, path::PathBuf};

use clap::Args;

use super::{exit::Exit, output::Output};
use crate::config::Config;

/// Say everything that is wrong with a config file, each thing with its line, its key and what would be right
#[derive(Debug, Args)]
pub struct Check {
    /// The config file, YAML
    #[arg(env = "BEDROCK_GRPC_CONFIG", value_name = "FILE")]
    config: PathBuf,
}

impl Check {
    /// Checks. Errors: those of standard output.
    pub fn run(self, output: &mut Output) -> io::Result<Exit> {
        match Config::load(&self.config) {
            Ok(config) => {
                output.line(&format!(
                    "{}: ok; {} aliases, {} patterns of model IDs that callers may name",
                    self.config.display(),
                    config.targets.aliases.len(),
                    config.targets.allowed_model_ids.len()
                ))?;
                Ok(Exit::Success)
            }
            Err(problems) => {
                output.error(&problems.to_string());
                Ok(Exit::BadInput)
            }
        }
    }
}
