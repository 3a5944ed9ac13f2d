//! `invoke-model`: calls a model in the model's own format through a gateway, optionally as a
//! stream.

use std::io;

use clap::Args;

use super::{
    client::Gateway, connect::Connect, exit::Exit, interrupt::Interrupts, output::Output,
    request_file,
};
use crate::pb::{
    InvokeModelRequest, ResolvedTarget, StreamInvokeModelRequest, TokenUsage,
    stream_invoke_model_response::Event,
};

/// Call a model, such as one for embeddings, with a body in its own format
#[derive(Debug, Args)]
#[command(after_help = "\
FILE contains the request body in the model's own format, JSON. The body of the answer is written to standard output unchanged, without a final line break. With --stream, each chunk is written as a line as soon as it arrives.
The target, the media type of the answer and the tokens are written to standard error. The gateway's configuration must allow the call, by `invoke_model` of the target and `methods` of the caller.

Examples:
  echo '{\"inputText\": \"a lighthouse\"}' | bedrock-grpc invoke-model --target embed --body -
  bedrock-grpc invoke-model --target image --body request.json --accept image/png >image.png
  bedrock-grpc invoke-model --target claude --body messages.json --stream")]
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

    /// Print the chunks of the answer as they arrive, one per line
    #[arg(long)]
    stream: bool,

    #[command(flatten)]
    connect: Connect,
}

impl InvokeModel {
    /// Makes the call and prints the answer. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let (gateway, request) = match output.checked(self.prepare()) {
            Ok(prepared) => prepared,
            Err(exit) => return Ok(exit),
        };
        let mut interrupts = Interrupts::listen()?;
        if self.stream {
            return stream(&gateway, request, &mut interrupts, output).await;
        }
        match interrupts
            .call(gateway.invoke_model(&request), output)
            .await
        {
            Ok(response) => {
                output.bytes(&response.body)?;
                let target = response.target.unwrap_or_default();
                output.note(&about(
                    &target,
                    &response.content_type,
                    response.usage.as_ref(),
                ));
                Ok(Exit::Success)
            }
            Err(exit) => Ok(exit),
        }
    }

    /// Returns the client and the request. Fails with a message that says what is wrong.
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

/// Prints the chunks of an answer.
async fn stream(
    gateway: &Gateway,
    request: InvokeModelRequest,
    interrupts: &mut Interrupts,
    output: &mut Output,
) -> io::Result<Exit> {
    let request = StreamInvokeModelRequest {
        target: request.target,
        body: request.body,
        accept: request.accept,
        ..StreamInvokeModelRequest::default()
    };
    let call = gateway.stream_invoke_model(&request);
    let mut events = match interrupts.call(call, output).await {
        Ok(events) => events,
        Err(exit) => return Ok(exit),
    };
    let (mut target, mut content_type) = (ResolvedTarget::default(), String::new());
    loop {
        let event = match interrupts.call(events.next(), output).await {
            Ok(Some(message)) => message.event,
            Ok(None) => return Ok(Exit::Success),
            Err(exit) => return Ok(exit),
        };
        match event {
            Some(Event::Start(start)) => {
                target = start.target.unwrap_or_default();
                content_type = start.content_type;
            }
            Some(Event::Chunk(chunk)) => {
                output.bytes(&chunk)?;
                output.text("\n")?;
            }
            Some(Event::Metadata(metadata)) => {
                let usage = metadata.metadata.and_then(|metadata| metadata.usage);
                output.note(&about(&target, &content_type, usage.as_ref()));
            }
            Some(Event::Heartbeat(_) | Event::Unknown(_)) | None => {}
        }
    }
}

/// Returns a line for standard error: the target, the media type and the tokens.
fn about(target: &ResolvedTarget, content_type: &str, usage: Option<&TokenUsage>) -> String {
    let tokens = match usage {
        Some(usage) => format!(
            "{} input tokens, {} output tokens",
            usage.input_tokens(),
            usage.output_tokens()
        ),
        None => "no numbers of tokens".to_owned(),
    };
    format!(
        "{} in {}: {content_type}, {tokens}",
        target.model_id, target.source_region
    )
}
