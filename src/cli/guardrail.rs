//! `guardrail`: checks content with a guardrail, through a gateway.

use std::io;

use clap::{Args, ValueEnum};

use super::{
    client::Gateway, connect::Connect, exit::Exit, interrupt::Interrupts, output::Output,
    request_file,
};
use crate::{
    pb::{
        ApplyGuardrailRequest, ApplyGuardrailResponse, GuardrailContentSource,
        GuardrailConverseContentBlock, GuardrailConverseTextBlock, GuardrailOutputScope,
        guardrail_converse_content_block::Content,
    },
    translate,
};

/// Check content with an Amazon Bedrock guardrail, without calling a model
#[derive(Debug, Args)]
#[command(after_help = "\
The action of the guardrail is written to standard output: NONE or GUARDRAIL_INTERVENED. The texts that replace the content follow, if there are any. \
The guardrail and the reason are written to standard error. The exit code is 0 in both cases. \
The JSON of --request is that of `aws bedrock-runtime apply-guardrail --cli-input-json`.

Examples:
  bedrock-grpc guardrail --target claude --text question.txt
  bedrock-grpc guardrail --target claude --text answer.txt --source output --json
  bedrock-grpc guardrail --target claude --request request.json --guardrail 5zwrmdlsra2e --guardrail-version 1")]
pub struct Guardrail {
    /// File with the text to check; `-` for standard input
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "request",
        conflicts_with = "request"
    )]
    text: Option<String>,

    /// File with an ApplyGuardrail request in Bedrock's JSON; `-` for standard input
    #[arg(long, value_name = "FILE")]
    request: Option<String>,

    /// The target: an alias of the gateway's configuration, a model ID, an inference profile ID or
    /// an ARN
    #[arg(long, env = "BEDROCK_GRPC_TARGET", value_name = "NAME")]
    target: String,

    /// The guardrail's ID or ARN [default: that of the request file, or of the gateway's
    /// configuration]
    #[arg(long, value_name = "ID", requires = "guardrail_version")]
    guardrail: Option<String>,

    /// The version of the guardrail: DRAFT or a number
    #[arg(long, value_name = "VERSION", requires = "guardrail")]
    guardrail_version: Option<String>,

    /// Whether the text is the input or the output of a model [default: input]
    #[arg(long, value_enum, value_name = "SOURCE", conflicts_with = "request")]
    source: Option<Source>,

    /// Also return what was checked without a finding. Shown only with `--json`
    #[arg(long, conflicts_with = "request")]
    full: bool,

    /// Print the response in Bedrock's JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connect: Connect,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Source {
    /// Input of a model
    Input,
    /// Output of a model
    Output,
}

impl Guardrail {
    /// Makes the call and prints the outcome. Fails if standard output cannot be written.
    pub async fn run(self, output: &mut Output) -> io::Result<Exit> {
        let (gateway, request) = match output.checked(self.prepare()) {
            Ok(prepared) => prepared,
            Err(exit) => return Ok(exit),
        };
        let call = gateway.apply_guardrail(&request);
        match Interrupts::listen()?.call(call, output).await {
            Ok(response) if self.json => {
                output.line(&translate::guardrail::to_response(&response))?;
                Ok(Exit::Success)
            }
            Ok(response) => {
                print(&response, output)?;
                Ok(Exit::Success)
            }
            Err(exit) => Ok(exit),
        }
    }

    /// Returns the client and the request. Fails with a message that says what is wrong.
    fn prepare(&self) -> Result<(Gateway, ApplyGuardrailRequest), String> {
        let gateway = self.connect.gateway(None)?;
        let mut request = match (&self.request, &self.text) {
            (Some(path), _) => {
                let (name, body) = request_file::bytes(path)?;
                translate::guardrail::from_apply_guardrail(&body)
                    .map_err(|error| format!("{name}: {error}"))?
            }
            (None, path) => self.of_text(path.as_deref().unwrap_or("-"))?,
        };
        self.target.clone_into(&mut request.target);
        if self.guardrail.is_some() {
            request.guardrail_identifier.clone_from(&self.guardrail);
            request
                .guardrail_version
                .clone_from(&self.guardrail_version);
        }
        Ok((gateway, request))
    }

    fn of_text(&self, path: &str) -> Result<ApplyGuardrailRequest, String> {
        let (name, text) = request_file::bytes(path)?;
        let text = String::from_utf8(text).map_err(|_| format!("{name}: the text is not UTF-8"))?;
        let source = match self.source {
            Some(Source::Output) => GuardrailContentSource::Output,
            Some(Source::Input) | None => GuardrailContentSource::Input,
        };
        let scope = if self.full {
            GuardrailOutputScope::Full
        } else {
            GuardrailOutputScope::Unspecified
        };
        let text = GuardrailConverseTextBlock {
            text,
            ..GuardrailConverseTextBlock::default()
        };
        Ok(ApplyGuardrailRequest {
            source: source.into(),
            content: vec![GuardrailConverseContentBlock {
                content: Some(Content::Text(text)),
            }],
            output_scope: scope.into(),
            ..ApplyGuardrailRequest::default()
        })
    }
}

/// Prints the action, the texts that replace the content, and the guardrail.
fn print(response: &ApplyGuardrailResponse, output: &mut Output) -> io::Result<()> {
    output.line(&response.action_name)?;
    for text in &response.outputs {
        output.line(text.text())?;
    }
    let reason = response.action_reason.as_deref().unwrap_or_default();
    output.note(&format!(
        "guardrail {} version {}: {reason}",
        response.guardrail_identifier, response.guardrail_version
    ));
    Ok(())
}
