//! `iam-policy`: prints an IAM policy that allows only what a configuration needs.

mod accounts;
mod policy;
mod resources;

use std::{io, path::PathBuf};

use clap::Args;

use self::{policy::Policy, resources::Names};
use super::{exit::Exit, output::Output};
use crate::config::{Config, ConfigFile};

/// Print the IAM policy that a configuration needs: profiles, the models behind them, guardrails,
/// discovery
#[derive(Debug, Args)]
#[command(after_help = "\
The policy is written to standard output, notes on what it does not cover to standard error. The command does not call Bedrock. It assumes that \
an inference profile serves from all Regions of its geography. The policy allows models only through their profiles. \
With `accounts`, the output is an object: `gateway` has the policy of the gateway's own identity, `accounts` the role, policy and trust policy of each.

Examples:
  bedrock-grpc iam-policy --config config.yaml --account 123456789012 > policy.json
  bedrock-grpc iam-policy --config values.yaml --account 123456789012 > policy.json    # values of the Helm chart
  bedrock-grpc iam-policy --config config.yaml --own-role arn:aws:iam::123456789012:role/gateway    # with `accounts`
  aws iam put-role-policy --role-name bedrock-grpc --policy-name bedrock --policy-document file://policy.json")]
pub struct IamPolicy {
    /// YAML configuration file, or values file of the Helm chart
    #[arg(long, short, env = "BEDROCK_GRPC_CONFIG", value_name = "FILE")]
    config: PathBuf,

    /// The AWS account of resources that the configuration names by their IDs [default: `*`, any
    /// account]
    #[arg(
        long,
        value_name = "ID",
        default_value = "*",
        hide_default_value = true
    )]
    account: String,

    /// The gateway's own identity: the ARN of a role or user, which trust policies name. Required
    /// if the configuration has `accounts`
    #[arg(long, value_name = "ARN")]
    own_role: Option<String>,

    /// The source Region of targets that name none, if `bedrock.region` is not set
    #[arg(long, env = "AWS_REGION", value_name = "REGION")]
    region: Option<String>,
}

impl IamPolicy {
    /// Prints the policy. Fails if standard output cannot be written.
    pub fn run(self, output: &mut Output) -> io::Result<Exit> {
        let file = ConfigFile::read(&self.config);
        let config = match file.and_then(|file| Config::of_file_or_values(&file)) {
            Ok((config, _)) => config,
            Err(problems) => {
                output.error(&problems.to_string());
                return Ok(Exit::BadInput);
            }
        };
        let names = Names {
            account: self.account,
            region: config.bedrock.region.clone().or(self.region),
        };
        let policies = if config.accounts.is_empty() {
            Policy::of(&config, "", &names)
                .map(|policy| (policy.document(), policy.notes().to_vec()))
        } else {
            accounts::policies(&config, &names, self.own_role.as_deref())
        };
        match policies {
            Ok((document, notes)) => {
                output.line(&serde_json::to_string_pretty(&document)?)?;
                for note in &notes {
                    output.note(note);
                }
                Ok(Exit::Success)
            }
            Err(message) => {
                output.error(&message);
                Ok(Exit::BadInput)
            }
        }
    }
}
