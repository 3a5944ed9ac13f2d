//! `check`: reports all errors of configuration files.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;

use super::{exit::Exit, output::Output};
use crate::{
    access::{Snapshot, token},
    config::{self, Access, Config, ConfigFile, KeySetLocation, Problem},
    telemetry::log,
};

/// Validate configuration files and report every error, with its line, its key and how to fix it
#[derive(Debug, Args)]
#[command(after_help = "\
A values file of the Helm chart is accepted as well: the configuration is the map under `config`.
Paths in it are paths in the pod, so a keys file that does not exist on this machine is not checked.

Examples:
  bedrock-grpc check config.yaml
  bedrock-grpc check values.yaml")]
pub struct Check {
    /// Configuration files, or values files of the Helm chart, YAML
    #[arg(
        env = "BEDROCK_GRPC_CONFIG",
        value_name = "FILE",
        required = true,
        num_args = 1..
    )]
    config: Vec<PathBuf>,
}

impl Check {
    /// Checks every file. Fails if standard output cannot be written.
    pub fn run(self, output: &mut Output) -> io::Result<Exit> {
        let mut exit = Exit::Success;
        for file in &self.config {
            match read(file).and_then(|file| load(&file)) {
                Ok(config) => report(file, &config, output)?,
                Err(problems) => {
                    output.error(&problems);
                    exit = Exit::BadInput;
                }
            }
        }
        Ok(exit)
    }
}

/// Reads a configuration file, only once, because it can be a pipe.
pub(super) fn read(file: &Path) -> Result<ConfigFile, String> {
    ConfigFile::read(file).map_err(|problems| problems.to_string())
}

/// Validates a configuration file and the files that it names. Fails with all errors.
pub(super) fn load(file: &ConfigFile) -> Result<Config, String> {
    let (config, is_values) =
        Config::of_file_or_values(file).map_err(|problems| problems.to_string())?;
    log::Level::of(&config.log)?;
    let keys_file = config.access.keys_file.as_ref();
    if !(is_values && keys_file.is_some_and(|path| !path.exists())) {
        check_callers(&config.access)?;
    }
    for issuer in &config.access.jwt {
        if let KeySetLocation::File(path) = &issuer.keys
            && (!is_values || path.exists())
        {
            token::check_file(path)?;
        }
    }
    Ok(config)
}

/// Prints what a file allows, and warns about settings that are valid but probably not intended.
fn report(file: &Path, config: &Config, output: &mut Output) -> io::Result<()> {
    for warning in config.warnings() {
        let Problem { key, message, .. } = warning;
        output.warning(&format!("{}: {key}: {message}", file.display()));
    }
    output.line(&format!(
        "{}: ok; {} aliases, {} patterns of model IDs that callers may name, {}",
        file.display(),
        config.targets.aliases.len(),
        config.targets.allowed_model_ids.len(),
        match config.access.callers.len() {
            0 => "no callers: every client may make calls".to_owned(),
            count => format!("{count} callers"),
        }
    ))
}

/// Checks the keys file, and then the configuration and the keys file together.
fn check_callers(access: &Access) -> Result<(), String> {
    let keys = match &access.keys_file {
        Some(path) => config::load_keys(path).map_err(|problems| problems.to_string())?,
        None => config::KeysByCaller::new(),
    };
    Snapshot::new(access, &keys, &Arc::default()).map(|_| ())
}
