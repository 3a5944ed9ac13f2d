//! `health`: checks whether a gateway is serving, for example as a probe in a container.

use std::{io, time::Duration};

use clap::Args;
use tonic_health::pb::health_check_response::ServingStatus;

use super::{connect::Connect, exit::Exit, output::Output};

/// The default deadline, which is that of a Kubernetes probe.
const DEADLINE: Duration = Duration::from_secs(1);

/// Check whether a gateway is serving, for example as a container's health check
#[derive(Debug, Args)]
#[command(after_help = "\
Prints the gateway's health status (grpc.health.v1).

Examples:
  bedrock-grpc health
  bedrock-grpc health --service bedrock.inference.v1.InferenceService
  bedrock-grpc health --address https://gateway.example:443 --deadline 3s
  bedrock-grpc health --address http://127.0.0.1:9090 --service liveness    (the admin port: also succeeds while draining)

Exit codes of this command:
    0  SERVING
    1  any other status, or the gateway cannot be reached
    2  the command line is wrong
   64  a file of the command line is wrong")]
pub struct Health {
    /// Full name of the service to check [default: the whole gateway]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    service: String,

    #[command(flatten)]
    connect: Connect,
}

impl Health {
    /// Checks the health and prints the result. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let gateway = match self.connect.gateway(Some(DEADLINE)) {
            Ok(gateway) => gateway,
            Err(message) => {
                output.error(&message);
                return Ok(Exit::BadInput);
            }
        };
        match gateway.health(&self.service).await {
            Ok(status) => {
                output.line(status.as_str_name())?;
                Ok(match status {
                    ServingStatus::Serving => Exit::Success,
                    _ => Exit::Failed,
                })
            }
            Err(failure) => {
                failure.print(output);
                Ok(Exit::Failed)
            }
        }
    }
}
