//! `check`: everything that is wrong with a config.

use std::{io, path::PathBuf};

use clap::Args;

use super::{exit::Exit, output::Output};
use crate::{
    access::Snapshot,
    config::{self, Access, Config, Problem},
};

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
                if let Err(problems) = callers(&config.access) {
                    output.error(&problems);
                    return Ok(Exit::BadInput);
                }
                for warning in config.warnings() {
                    let Problem { key, message, .. } = warning;
                    let file = self.config.display();
                    output.warning(&format!("{file}: {key}: {message}"));
                }
                output.line(&format!(
                    "{}: ok; {} aliases, {} patterns of model IDs that callers may name, {}",
                    self.config.display(),
                    config.targets.aliases.len(),
                    config.targets.allowed_model_ids.len(),
                    match config.access.callers.len() {
                        0 => "no callers: everyone may call".to_owned(),
                        count => format!("{count} callers"),
                    }
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

/// What is wrong with the keys file, or with the config and the keys file together.
fn callers(access: &Access) -> Result<(), String> {
    let keys = match &access.keys_file {
        Some(path) => config::load_keys(path).map_err(|problems| problems.to_string())?,
        None => config::KeysByCaller::new(),
    };
    Snapshot::new(access, &keys).map(|_| ())
}
