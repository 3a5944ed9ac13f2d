//! `invoke`: sends a Converse request in Bedrock's JSON over gRPC, and prints the answer in
//! Converse's JSON.

use std::io;

use clap::Args;

use super::{
    client::Gateway, connect::Connect, events, exit::Exit, interrupt::Interrupts, output::Output,
    request_file::RequestFile,
};
use crate::{
    pb::{ConverseInput, InvokeRequest, StreamInvokeRequest},
    translate,
};

/// Send a Converse request in Bedrock's JSON and print the answer in the same JSON
#[derive(Debug, Args)]
#[command(after_help = "\
FILE contains the body of a Converse request, optionally with a member `modelId`, as in SDKs; or an object of `modelId` and `body`. The body is sent unchanged. \
Exit codes: see `bedrock-grpc --help`.

Examples:
  bedrock-grpc invoke --target claude --converse request.json
  bedrock-grpc invoke --target claude --converse request.json --events | jq -c .
  jq '.messages[0].content[0].text = \"Hello\"' request.json |
    bedrock-grpc invoke --target claude --converse -")]
pub struct Invoke {
    /// File with the request; `-` for standard input
    #[arg(long, value_name = "FILE")]
    converse: String,

    /// The target: an alias of the gateway's configuration, a model ID, an inference profile ID or
    /// an ARN [default: the file's `modelId`]
    #[arg(long, env = "BEDROCK_GRPC_TARGET", value_name = "NAME")]
    target: Option<String>,

    /// Stream the answer, and print each event as a JSON line. If the call fails, the last line is
    /// an object with the member `error`
    #[arg(long)]
    events: bool,

    #[command(flatten)]
    connect: Connect,
}

impl Invoke {
    /// Makes the call and prints the answer. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let (gateway, file, input) = match output.checked(self.prepare()) {
            Ok(prepared) => prepared,
            Err(exit) => return Ok(exit),
        };
        let Some(target) = self.target.or(file.model_id) else {
            output.error(
                "no target: pass --target, set BEDROCK_GRPC_TARGET, or add `modelId` to the file",
            );
            return Ok(Exit::Usage);
        };
        let mut interrupts = Interrupts::listen()?;
        if self.events {
            let request = StreamInvokeRequest {
                target,
                input: Some(input),
                ..StreamInvokeRequest::default()
            };
            return events::print(&gateway, &request, &mut interrupts, output).await;
        }
        let request = InvokeRequest {
            target,
            input: Some(input),
        };
        match interrupts.call(gateway.invoke(&request), output).await {
            Ok(response) => {
                output.line(&translate::response::to_converse(&response))?;
                Ok(Exit::Success)
            }
            Err(exit) => Ok(exit),
        }
    }

    /// Returns the client and the request. Fails with a message that says what is wrong.
    fn prepare(&self) -> Result<(Gateway, RequestFile, ConverseInput), String> {
        let gateway = self.connect.gateway(None)?;
        let (name, file) = RequestFile::read(&self.converse)?;
        let input = translate::request::from_converse(file.body.as_bytes())
            .map_err(|error| format!("{name}: {error}"))?;
        Ok((gateway, file, input))
    }
}
