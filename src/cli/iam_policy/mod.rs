//! `iam-policy`: what the gateway's AWS identity must be allowed for a config, and nothing besides.

mod policy;
mod resources;

use std::{io, path::PathBuf};

use clap::Args;

use self::{policy::Policy, resources::Names};
use super::{exit::Exit, output::Output};
use crate::config::Config;

/// Print the IAM policy that a config needs: profiles, the models behind them, guardrails, discovery
#[derive(Debug, Args)]
#[command(after_help = "\
The policy goes to standard output, what it can't know to standard error. Bedrock is not asked: the Regions that an inference profile leads to are
those of its geography, and models are allowed through their profiles only.

Examples:
  bedrock-grpc iam-policy --config config.yaml --account 123456789012 > policy.json
  aws iam put-role-policy --role-name bedrock-grpc --policy-name bedrock --policy-document file://policy.json")]
pub struct IamPolicy {
    /// The config file, YAML
    #[arg(long, short, env = "BEDROCK_GRPC_CONFIG", value_name = "FILE")]
    config: PathBuf,

    /// The AWS account of what the config names by ID alone [default: any, which is the role's own all the same]
    #[arg(
        long,
        value_name = "ID",
        default_value = "*",
        hide_default_value = true
    )]
    account: String,

    /// The source Region of targets that name none, if `bedrock.region` names none either
    #[arg(long, env = "AWS_REGION", value_name = "REGION")]
    region: Option<String>,
}

impl IamPolicy {
    /// Prints. Errors: those of standard output.
    pub fn run(self, output: &mut Output) -> io::Result<Exit> {
        let config = match Config::load(&self.config) {
            Ok(config) => config,
            Err(problems) => {
                output.error(&problems.to_string());
                return Ok(Exit::BadInput);
            }
        };
        let names = Names {
            account: self.account,
            region: config.bedrock.region.clone().or(self.region),
        };
        match Policy::of(&config, &names) {
            Ok(policy) => {
                output.line(&serde_json::to_string_pretty(&policy.document())?)?;
                for note in policy.notes() {
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
