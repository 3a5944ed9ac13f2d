//! `check`: says everything that is wrong with a config.

use std::path::PathBuf;

use super::{exit::Exit, output::Output};
use crate::config::Config;

/// Checks a config file: says everything that is wrong with it at once, each with line, key and what would be right.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file, YAML.
    #[arg(env = "BEDROCK_GRPC_CONFIG", value_name = "FILE")]
    config: PathBuf,
}

impl Args {
    /// Checks.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn run(self, output: &mut Output) -> Result<(), Exit> {
        let config = Config::load(&self.config).map_err(|problems| Exit::config(problems.to_string()))?;
        output.line(&format!(
            "{}: ok ({} targets, {} patterns of model IDs)",
            self.config.display(),
            config.targets.aliases.len(),
            config.targets.allowed_model_ids.len()
        ));
        Ok(())
    }
}
