//! `serve`: the gateway, against Amazon Bedrock.

use std::path::PathBuf;

use super::{exit::Exit, signals};
use crate::{
    app::{self, Listeners},
    bedrock::Sdk,
    config::Config,
    telemetry,
};

/// Runs the gateway against Amazon Bedrock.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file, YAML. Without one, the defaults apply, and callers can name no target.
    #[arg(long, short, env = "BEDROCK_GRPC_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    /// Serves until SIGTERM or Ctrl-C, then drains.
    ///
    /// # Errors
    /// The config is wrong, or an address or file can't be used.
    pub async fn run(self) -> Result<(), Exit> {
        let config = match &self.config {
            Some(file) => Config::load(file).map_err(|problems| Exit::config(problems.to_string()))?,
            None => Config::default(),
        };
        telemetry::log::start(&config.log).map_err(Exit::config)?;
        if config.targets.aliases.is_empty() && config.targets.allowed_model_ids.is_empty() {
            tracing::warn!("no target can be called: add `targets` or `allowed_model_ids` to the config");
        }
        let sdk = Sdk::load(&config.bedrock)
            .await
            .map_err(|error| Exit::config(format!("bedrock.extra_ca_file: {error}")))?;
        let listeners = Listeners::bind(&config).map_err(|error| Exit::unavailable(error.to_string()))?;
        app::run(config, sdk, listeners, signals::stop())
            .await
            .map_err(|error| Exit::unavailable(error.to_string()))
    }
}
