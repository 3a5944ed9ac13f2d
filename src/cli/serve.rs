//! `serve`: runs the gateway with Amazon Bedrock.

use std::{io, path::PathBuf};

use clap::Args;

use super::{exit::Exit, output::Output, signals};
use crate::{
    bedrock::Sdk,
    config::{Config, ConfigFile, Problems},
    server::{self, InvalidConfig, Listeners, Reload},
    telemetry::{self, log::LevelHandle},
};

/// Run the gateway with Amazon Bedrock
#[derive(Debug, Args)]
#[command(after_help = "\
Region, profile and credentials are those of the standard AWS SDK chain: AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_BEARER_TOKEN_BEDROCK, \
the shared config files, IRSA, EKS Pod Identity, instance metadata. AWS_BEARER_TOKEN_BEDROCK_FILE names a file with a Bedrock API key. Endpoints: AWS_ENDPOINT_URL_BEDROCK_RUNTIME, AWS_ENDPOINT_URL. \
Traces are sent to OTEL_EXPORTER_OTLP_ENDPOINT, unless the config sets `traces`.

SIGTERM or Ctrl-C: the gateway accepts no more calls, waits for open calls up to `drain.limit`, and exits with 0. \
A second signal ends open calls immediately, each with a status, and the gateway exits with 0.

Changes of the configuration file take effect without a restart, usually within a second, about 3 seconds at most. \
On SIGHUP, the gateway reads the file even if nothing seems to have changed. A file with a mistake is refused as a whole; the log says why, and \
the previous configuration stays in use.

A minimal config:
  targets:
    claude:
      model_id: us.anthropic.claude-sonnet-5")]
pub struct Serve {
    /// YAML configuration file. Without it, the gateway has no targets
    #[arg(long, short, env = "BEDROCK_GRPC_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Serve {
    /// Reads the configuration file, if there is one.
    fn read(&self) -> Result<(Option<ConfigFile>, Config), Problems> {
        let Some(path) = &self.config else {
            return Ok((None, Config::without_file()?));
        };
        let file = ConfigFile::read(path)?;
        let config = Config::of_file(&file)?;
        Ok((Some(file), config))
    }

    /// Serves until SIGTERM or Ctrl-C, and then drains. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let (file, config) = match self.read() {
            Ok(read) => read,
            Err(problems) => {
                output.error(&problems.to_string());
                return Ok(Exit::BadInput);
            }
        };
        let log = match telemetry::log::start(&config.log) {
            Ok(log) => log,
            Err(message) => {
                output.error(&message);
                return Ok(Exit::BadInput);
            }
        };
        Ok(match serve(file, config, log.level()).await {
            Ok(()) => Exit::Success,
            Err((exit, message)) => {
                log.text(&output.error_text(&message));
                exit
            }
        })
    }
}

/// Serves until a stop signal. Fails with the exit code and the error to print.
async fn serve(
    file: Option<ConfigFile>,
    config: Config,
    level: LevelHandle,
) -> Result<(), (Exit, String)> {
    let failed = |error: io::Error| (Exit::Failed, error.to_string());
    for open in config.exposure() {
        tracing::warn!(key = open.key, "{}", open.message);
    }
    for warning in config.warnings() {
        tracing::warn!(key = warning.key, "{}", warning.message);
    }
    let targets = &config.targets;
    if targets.aliases.is_empty() && targets.allowed_model_ids.is_empty() {
        tracing::warn!("the configuration allows no target: add `targets` or `allowed_model_ids`");
    }
    let sdk = Sdk::load(&config.bedrock)
        .await
        .map_err(|error| (Exit::BadInput, error.to_string()))?;
    let reload = match file {
        Some(file) => Some(Reload {
            file,
            requested: signals::hangup().map_err(failed)?,
            level,
        }),
        None => {
            signals::ignore_hangup().map_err(failed)?;
            None
        }
    };
    let listeners = Listeners::bind(&config).map_err(failed)?;
    let stop = signals::stop().map_err(failed)?;
    let served = server::run_with(config, reload, sdk, listeners, stop).await;
    served.map_err(|error| match InvalidConfig::is_cause_of(&error) {
        true => (Exit::BadInput, error.to_string()),
        false => failed(error),
    })
}
