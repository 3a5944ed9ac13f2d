//! `serve`: runs the gateway with Amazon Bedrock.

use std::{io, path::PathBuf};

use clap::Args;

use super::{exit::Exit, output::Output, signals};
use crate::{
    bedrock::Sdk,
    config::Config,
    server::{self, Listeners},
    telemetry,
};

/// Run the gateway with Amazon Bedrock
#[derive(Debug, Args)]
#[command(after_help = "\
Region, profile and credentials are those of the standard AWS SDK chain: AWS_REGION, AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_BEARER_TOKEN_BEDROCK,
the shared config files, IRSA, EKS Pod Identity, instance metadata. Endpoints: AWS_ENDPOINT_URL_BEDROCK_RUNTIME, AWS_ENDPOINT_URL.
Traces are sent to OTEL_EXPORTER_OTLP_ENDPOINT, unless the config sets `traces`.

SIGTERM or Ctrl-C: the gateway accepts no more calls, waits for open calls up to `drain.limit`, and exits with 0.
A second signal ends open calls immediately, each with a status, and the gateway exits with 0.

A minimal config:
  targets:
    claude:
      model_id: us.anthropic.claude-sonnet-5")]
pub struct Serve {
    /// Configuration file, YAML. Without one, there are no targets
    #[arg(long, short, env = "BEDROCK_GRPC_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Serve {
    /// Serves until SIGTERM or Ctrl-C, then drains. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let read = self
            .config
            .as_deref()
            .map_or_else(Config::without_file, Config::load);
        let config = match read {
            Ok(config) => config,
            Err(problems) => {
                output.error(&problems.to_string());
                return Ok(Exit::BadInput);
            }
        };
        if let Err(message) = telemetry::log::start(&config.log) {
            output.error(&message);
            return Ok(Exit::BadInput);
        }
        for open in config.exposure() {
            tracing::warn!(key = open.key, "{}", open.message);
        }
        for warning in config.warnings() {
            tracing::warn!(key = warning.key, "{}", warning.message);
        }
        let targets = &config.targets;
        if targets.aliases.is_empty() && targets.allowed_model_ids.is_empty() {
            tracing::warn!(
                "the configuration allows no target: add `targets` or `allowed_model_ids`"
            );
        }
        let sdk = match Sdk::load(&config.bedrock).await {
            Ok(sdk) => sdk,
            Err(error) => {
                output.error(&error.to_string());
                return Ok(Exit::BadInput);
            }
        };
        let served = match Listeners::bind(&config) {
            Ok(listeners) => server::run(config, sdk, listeners, signals::stop()?).await,
            Err(error) => Err(error),
        };
        Ok(match served {
            Ok(()) => Exit::Success,
            Err(error) => {
                output.error(&error.to_string());
                Exit::Failed
            }
        })
    }
}
