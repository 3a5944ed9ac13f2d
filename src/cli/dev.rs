//! `dev`: runs the gateway together with the emulator on this machine.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use bedrock_emulator::{DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, Emulator, Options, Pace};
use clap::Args;

use super::{
    emulated_quotas::EmulatedQuotas, exit::Exit, output::Output, sample_callers::SampleCallers,
    signals, socket_address,
};
use crate::{
    bedrock::Sdk,
    config::{
        self, Alias, Config, Cors, Drain, Hosts, Limits, Log, LogFormat, RequestPolicy, Server,
        Targets, s3::S3Locations,
    },
    server::{self, Listeners},
    telemetry,
};

/// The source Region of targets that name none.
const REGION: &str = "us-east-1";

/// Run the gateway with an emulated Bedrock. It needs no AWS account, and no data leaves this
/// machine
#[derive(Debug, Args)]
#[command(after_help = "\
Targets: the aliases `claude` (also for `invoke-model --stream`), `nova` and `embed` (embeddings, for `invoke-model`), and every model ID, inference profile and ARN that the emulator has. \
To try failures, append a fault such as `.fault-throttling` or `.fault-end-without-message-stop-after-5` to a model ID; \
`bedrock-grpc emulate --help` lists all faults.")]
pub struct Dev {
    /// Address for gRPC, gRPC-Web and the playground
    #[arg(long, default_value = "127.0.0.1:50051", value_name = "IP:PORT", value_parser = socket_address::parse)]
    listen: SocketAddr,

    /// Address for metrics and readiness
    #[arg(long, default_value = "127.0.0.1:9090", value_name = "IP:PORT", value_parser = socket_address::parse)]
    admin_listen: SocketAddr,

    /// Address for the emulator, which the gateway and any AWS SDK can call
    #[arg(long, default_value = "127.0.0.1:8900", value_name = "IP:PORT", value_parser = socket_address::parse)]
    emulator_listen: SocketAddr,

    /// Time until the model's first token, in milliseconds
    #[arg(long, default_value_t = 250, value_name = "MS")]
    time_to_first_token: u64,

    /// Speed of the model, in tokens per second
    #[arg(long, default_value_t = 40.0, value_name = "N")]
    tokens_per_second: f64,

    /// Log level: error, warn, info, debug, trace, or directives such as info,h2=debug
    #[arg(long, default_value = "warn", value_name = "LEVEL")]
    log: String,

    /// Write the addresses to this file or named pipe when ready, one per line: grpc=, admin=,
    /// emulator=
    #[arg(long, value_name = "FILE")]
    announce: Option<PathBuf>,

    /// Authenticate callers: create two sample callers and print their keys
    #[arg(long)]
    callers: bool,

    #[command(flatten)]
    rates: EmulatedQuotas,
}

impl Dev {
    /// Serves until SIGTERM or Ctrl-C. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let samples = if self.callers {
            Some(SampleCallers::generate().map_err(io::Error::other)?)
        } else {
            None
        };
        let config = match Config::without_file() {
            Ok(environment) => Config {
                traces: environment.traces,
                access: samples
                    .as_ref()
                    .map_or_else(Default::default, SampleCallers::access),
                ..self.config()
            },
            Err(problems) => {
                output.error(&problems.to_string());
                return Ok(Exit::Usage);
            }
        };
        let log = match telemetry::log::start(&config.log) {
            Ok(log) => log,
            Err(message) => {
                output.error(&message);
                return Ok(Exit::Usage);
            }
        };
        let started = Emulator::start(self.emulator())
            .map_err(|error| format!("--emulator-listen {}: {error}", self.emulator_listen))
            .and_then(|emulator| {
                let listeners = Listeners::bind(&config).map_err(|error| {
                    format!("{error} (--listen and --admin-listen choose other addresses)")
                })?;
                Ok((emulator, listeners))
            });
        let (emulator, listeners) = match started {
            Ok(started) => started,
            Err(message) => {
                log.text(&output.error_text(&message));
                return Ok(Exit::Failed);
            }
        };
        let options = config::bedrock::BedrockOptions {
            region: Some(REGION.to_owned()),
            endpoint_url: Some(emulator.endpoint_url()),
            ..config.bedrock.clone()
        };
        let sdk = Sdk::with_credentials(DEV_ACCESS_KEY_ID, DEV_SECRET_ACCESS_KEY, &options)
            .map_err(io::Error::other)?;
        let (grpc, admin) = (listeners.grpc.local_addr()?, listeners.admin.local_addr()?);
        let emulator_url = emulator.endpoint_url();
        output.text(&greeting(grpc, admin, &emulator_url, samples.as_ref()))?;
        // The file is written after all listeners are bound, so that clients can make calls as soon
        // as they read it.
        if let Some(path) = &self.announce {
            let addresses = format!("grpc={grpc}\nadmin={admin}\nemulator={emulator_url}\n");
            if let Err(error) = announce(path, addresses).await {
                let message = format!("--announce {}: {error}", path.display());
                log.text(&output.error_text(&message));
                return Ok(Exit::Failed);
            }
        }
        signals::ignore_hangup()?;
        let served = server::run(config, sdk, listeners, signals::stop()?).await;
        emulator.stop().await;
        Ok(match served {
            Ok(()) => Exit::Success,
            Err(error) => {
                log.text(&output.error_text(&error.to_string()));
                Exit::Failed
            }
        })
    }

    fn config(&self) -> Config {
        Config {
            server: Server {
                listen: self.listen,
                admin: self.admin_listen,
                cors: Cors {
                    allowed_origins: vec!["*".to_owned()],
                },
                hosts: Hosts::Loopback,
                playground: true,
                ..Server::default()
            },
            targets: Targets {
                aliases: aliases(),
                allowed_model_ids: vec!["*".to_owned()],
                // All S3 locations are allowed, because the emulator does not read from Amazon S3.
                policy: RequestPolicy {
                    s3_locations: Some(S3Locations::everywhere()),
                    ..RequestPolicy::default()
                },
                ..Targets::default()
            },
            // A drain need not wait for load balancers, because none sends calls to `dev`.
            drain: Drain {
                lame_duck: Duration::ZERO,
                limit: Duration::from_secs(1),
            },
            limits: Limits {
                // A requested fault is visible at once if there is no retry.
                max_attempts: 1,
                ..Limits::default()
            },
            log: Log {
                format: LogFormat::Text,
                level: self.log.clone(),
            },
            ..Config::default()
        }
    }

    fn emulator(&self) -> Options {
        Options {
            listen: self.emulator_listen,
            region: REGION.to_owned(),
            pace: Pace::tokens_per_second(
                Duration::from_millis(self.time_to_first_token),
                self.tokens_per_second,
            ),
            quotas: self.rates.quotas(),
            threads: NonZeroUsize::MIN,
            loopback_hosts_only: self.emulator_listen.ip().is_loopback(),
            ..Options::default()
        }
    }
}

async fn announce(path: &Path, addresses: String) -> io::Result<()> {
    let path = path.to_owned();
    // Opening a named pipe blocks until a reader opens it.
    tokio::task::spawn_blocking(move || fs::write(path, addresses)).await?
}

fn aliases() -> BTreeMap<String, Alias> {
    let alias = |name: &str, model_id: &str, description: &str| {
        let alias = Alias {
            description: description.to_owned(),
            ..Alias::to(model_id)
        };
        (name.to_owned(), alias)
    };
    let mut claude = alias(
        "claude",
        "us.anthropic.claude-sonnet-5",
        "Claude through a cross-region inference profile",
    );
    claude.1.invoke_model = true;
    let mut embed = alias(
        "embed",
        "amazon.titan-embed-text-v2:0",
        "Embeddings of texts, with InvokeModel",
    );
    embed.1.invoke_model = true;
    [
        claude,
        alias("nova", "amazon.nova-lite-v1:0", "Nova on demand"),
        embed,
    ]
    .into()
}

/// Returns the text that `dev` prints when it is ready.
fn greeting(
    grpc: SocketAddr,
    admin: SocketAddr,
    emulator: &str,
    samples: Option<&SampleCallers>,
) -> String {
    let program = config::program();
    let request = r#"{"target":"claude","input":{"messages":[{"role":"ROLE_USER","content":[{"text":"Why is the sky blue?"}]}]}}"#;
    let text = r#"{"inputText":"a lighthouse"}"#;
    let address = if grpc.port() == 50051 {
        String::new()
    } else {
        format!(" --address http://{grpc}")
    };
    let (keys, key, header) = samples.map_or_else(Default::default, |samples| {
        let key = samples.first();
        (
            samples.greeting(),
            format!("BEDROCK_GRPC_KEY={key} "),
            format!("-H 'authorization: Bearer {key}' "),
        )
    });
    format!(
        "\
bedrock-grpc dev: the gateway on an emulated Bedrock; no AWS account, nothing leaves this machine

  playground          http://{grpc}/
  gRPC and gRPC-Web   {grpc}
  metrics, readiness  http://{admin}/metrics  http://{admin}/readyz
  Bedrock emulator    {emulator}  (for any AWS SDK, too)
{keys}
Try, in another terminal:

  {key}{program} chat{address} --target claude 'Why is the sky blue?'
  echo '{text}' | {key}{program} invoke-model{address} --target embed --body -
  grpcurl -plaintext {header}-d '{request}' {grpc} bedrock.inference.v1.InferenceService/StreamInvoke

Press Ctrl-C to stop.
"
    )
}
