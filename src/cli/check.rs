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
    bedrock::BedrockApiKey,
    config::{self, Access, Config, ConfigFile, KeySetLocation, Problems},
    server::{self, TlsWarning},
    telemetry::log,
};

/// Validate configuration files and report every error, with its line, its key and how to fix it
#[derive(Debug, Args)]
#[command(after_help = "\
A values file of the Helm chart is accepted as well: the configuration is the map under `config`.
Paths in it are paths in the pod, so a keys file or TLS file that does not exist on this machine is not checked.

Examples:
  bedrock-grpc check config.yaml
  bedrock-grpc check values.yaml")]
pub struct Check {
    /// YAML configuration files, or values files of the Helm chart
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
            let loaded = read(file).and_then(|file| {
                let loaded = load_with_tls(&file)?;
                Ok((file, loaded))
            });
            match loaded {
                Ok((file, (config, warnings))) => report(&file, &config, warnings, output)?,
                Err(problems) => {
                    output.error(&problems);
                    exit = Exit::BadInput;
                }
            }
        }
        Ok(exit)
    }
}

/// Reads a configuration file. It can be a pipe, which can be read only once.
pub(super) fn read(file: &Path) -> Result<ConfigFile, String> {
    ConfigFile::read(file).map_err(|problems| problems.to_string())
}

/// Validates a configuration file and the files that it names, including those of TLS. Returns
/// warnings about certificates.
fn load_with_tls(file: &ConfigFile) -> Result<(Config, Vec<TlsWarning>), String> {
    let (config, is_values) = parse(file)?;
    let others = check_files(&config, is_values);
    // The files of a pod need not exist on this machine.
    let tls = config.server.tls.as_ref();
    let tls = tls.filter(|tls| !is_values || tls.files().all(|(_, path)| path.exists()));
    let warnings = tls.map(server::check_tls).transpose();
    match (others, warnings) {
        (Ok(()), Ok(warnings)) => Ok((config, warnings.unwrap_or_default())),
        (others, warnings) => {
            let of_tls = warnings.err().unwrap_or_default();
            let problems: Vec<_> = others.err().into_iter().chain(of_tls).collect();
            Err(problems.join("\n"))
        }
    }
}

/// Validates a configuration file and the files that it names, except those of TLS, which can be on
/// another machine. Returns all errors.
pub(super) fn load(file: &ConfigFile) -> Result<Config, String> {
    let (config, is_values) = parse(file)?;
    check_files(&config, is_values)?;
    Ok(config)
}

fn parse(file: &ConfigFile) -> Result<(Config, bool), String> {
    Config::of_file_or_values(file).map_err(|problems| problems.to_string())
}

fn check_files(config: &Config, is_values: bool) -> Result<(), String> {
    log::Level::of(&config.log)?;
    let keys_file = config.access.keys_file.as_ref();
    if !(is_values && keys_file.is_some_and(|path| !path.exists())) {
        check_callers(&config.access)?;
    }
    let api_key = config.bedrock.api_key_file.as_ref();
    if let Some(path) = api_key.filter(|path| !is_values || path.exists()) {
        BedrockApiKey::read(path)?;
    }
    for issuer in &config.access.jwt {
        if let KeySetLocation::File(path) = &issuer.keys
            && (!is_values || path.exists())
        {
            token::check_file(path)?;
        }
    }
    Ok(())
}

/// Prints what a configuration allows, and warns about valid settings that are probably not
/// intended.
fn report(
    file: &ConfigFile,
    config: &Config,
    certificates: Vec<TlsWarning>,
    output: &mut Output,
) -> io::Result<()> {
    let path = file.path.display().to_string();
    for (key, warning) in certificates {
        output.warning(&format!("{path}: {key}: {warning}"));
    }
    for warning in config.warnings_in(file) {
        let warning = Problems {
            file: path.clone(),
            problems: vec![warning],
        };
        output.warning(&warning.to_string());
    }
    output.line(&format!(
        "{path}: ok; {} aliases, {} patterns of model IDs that callers may name, {}",
        config.targets.aliases.len(),
        config.targets.allowed_model_ids.len(),
        callers(&config.access)
    ))
}

/// Returns who may make calls.
fn callers(access: &Access) -> String {
    let count = access.callers.len();
    match (access.is_configured(), access.required) {
        (false, _) => "no callers: every client may make calls".to_owned(),
        (true, true) => format!("{count} callers"),
        (true, false) => format!("{count} callers, and calls without a credential are accepted"),
    }
}

/// Returns the keys of the keys file. `None` if there is no such file on this machine.
pub(super) fn keys_in_file(config: &Config) -> Result<Option<config::KeysByCaller>, String> {
    let path = config.access.keys_file.as_ref();
    let keys = path
        .filter(|path| path.exists())
        .map(|path| config::load_keys(path));
    keys.transpose().map_err(|problems| problems.to_string())
}

/// Checks the keys file alone, and then together with the configuration.
fn check_callers(access: &Access) -> Result<(), String> {
    let keys = match &access.keys_file {
        Some(path) => config::load_keys(path).map_err(|problems| problems.to_string())?,
        None => config::KeysByCaller::new(),
    };
    Snapshot::new(access, &keys, &Arc::default()).map(|_| ())
}
