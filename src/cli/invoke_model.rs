//! `invoke-model`: calls a model in its own format through a gateway.

use std::io;

use clap::Args;

use super::{
    client::Gateway, connect::Connect, exit::Exit, interrupt::Interrupts, output::Output,
    request_file,
};
use crate::pb::{InvokeModelRequest, InvokeModelResponse};

/// Call a model with a body in its own format, such as a model for embeddings
#[derive(Debug, Args)]
#[command(after_help = "\
FILE contains the JSON that the model takes from InvokeModel. The body of the answer is written to standard output as it is, without a line end.
The target, its media type and the tokens are written to standard error. The gateway must allow it: `invoke_model` of the target, `methods` of the caller.

Examples:
  echo '{\"inputText\": \"a lighthouse\"}' | bedrock-grpc invoke-model --target embed --body -
  bedrock-grpc invoke-model --target image --body request.json --accept image/png >image.png")]
pub struct InvokeModel {
    /// File with the body; `-` for standard input
    #[arg(long, value_name = "FILE")]
    body: String,

    /// The target: an alias of the gateway's configuration
    #[arg(long, env = "BEDROCK_GRPC_TARGET", value_name = "NAME")]
    target: String,

    /// The media type of the answer [default: application/json]
    #[arg(long, value_name = "TYPE")]
    accept: Option<String>,

    #[command(flatten)]
    connect: Connect,
}

impl InvokeModel {
    /// Makes the call and prints the answer. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let (gateway, request) = match self.prepare() {
            Ok(prepared) => prepared,
            Err(message) => {
                output.error(&message);
                return Ok(Exit::BadInput);
            }
        };
        let call = gateway.invoke_model(&request);
        match Interrupts::listen()?.call(call, output).await {
            Ok(response) => {
                output.bytes(&response.body)?;
                output.note(&about(&response));
                Ok(Exit::Success)
            }
            Err(exit) => Ok(exit),
        }
    }

    /// Returns the client and the request. Fails with a description of what is wrong.
    fn prepare(&self) -> Result<(Gateway, InvokeModelRequest), String> {
        let gateway = self.connect.gateway(None)?;
        let (_, body) = request_file::bytes(&self.body)?;
        let request = InvokeModelRequest {
            target: self.target.clone(),
            body: body.into(),
            accept: self.accept.clone(),
            ..InvokeModelRequest::default()
        };
        Ok((gateway, request))
    }
}

/// Returns a line about an answer: the route, the media type and the tokens.
fn about(response: &InvokeModelResponse) -> String {
    let target = response.target.clone().unwrap_or_default();
    let tokens = match &response.usage {
        Some(usage) => format!(
            "{} input tokens, {} output tokens",
            usage.input_tokens(),
            usage.output_tokens()
        ),
        None => "no numbers of tokens".to_owned(),
    };
    format!(
        "{} in {}: {}, {tokens}",
        target.model_id, target.source_region, response.content_type
    )
}
