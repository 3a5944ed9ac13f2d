//! `count`: asks a gateway for the number of input tokens of a Converse request.

use std::io;

use clap::Args;

use super::{
    client::Gateway, connect::Connect, exit::Exit, interrupt::Interrupts, output::Output,
    request_file::RequestFile,
};
use crate::{pb::CountTokensRequest, translate};

/// Count the input tokens of a Converse request in Bedrock's JSON, without calling the model
#[derive(Debug, Args)]
#[command(after_help = "\
FILE contains a Converse request, as for `invoke`. The number is written to standard output, the model that counted to standard error. \
Bedrock does not count tokens for all models.

Examples:
  bedrock-grpc count --target claude --converse request.json
  bedrock-grpc count --target claude --converse request.json --json")]
pub struct Count {
    /// File with the request; `-` for standard input
    #[arg(long, value_name = "FILE")]
    converse: String,

    /// The target: an alias of the gateway's configuration, a model ID, an inference profile ID or
    /// an ARN [default: the file's `modelId`]
    #[arg(long, env = "BEDROCK_GRPC_TARGET", value_name = "NAME")]
    target: Option<String>,

    /// Print an object with `inputTokens` and `countedBy`
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connect: Connect,
}

impl Count {
    /// Makes the call and prints the number. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let (gateway, request) = match output.checked(self.prepare()) {
            Ok(prepared) => prepared,
            Err(exit) => return Ok(exit),
        };
        if request.target.is_empty() {
            output.error(
                "no target: pass --target, set BEDROCK_GRPC_TARGET, or add `modelId` to the file",
            );
            return Ok(Exit::Usage);
        }
        let call = gateway.count_tokens(&request);
        match Interrupts::listen()?.call(call, output).await {
            Ok(response) if self.json => {
                let object = serde_json::json!({
                    "inputTokens": response.input_tokens,
                    "countedBy": response.counted_by,
                });
                output.line(&object.to_string())?;
                Ok(Exit::Success)
            }
            Ok(response) => {
                output.line(&response.input_tokens.to_string())?;
                output.note(&format!("counted by {}", response.counted_by));
                Ok(Exit::Success)
            }
            Err(exit) => Ok(exit),
        }
    }

    /// Returns the client and the request. Fails with a message that says what is wrong.
    fn prepare(&self) -> Result<(Gateway, CountTokensRequest), String> {
        let gateway = self.connect.gateway(None)?;
        let (name, file) = RequestFile::read(&self.converse)?;
        let input = translate::request::from_converse(file.body.as_bytes())
            .map_err(|error| format!("{name}: {error}"))?;
        let target = self.target.clone().or(file.model_id);
        Ok((
            gateway,
            CountTokensRequest {
                target: target.unwrap_or_default(),
                input: Some(input),
            },
        ))
    }
}
