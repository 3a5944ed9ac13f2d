//! `chat`: talks to a model on the terminal or in a pipe.
//!
//! | module | job |
//! |---|---|
//! | [`conversation`] | the questions and answers so far, and the next request |
//! | [`turn`] | sends one question and prints its answer |
//! | [`render`] | prints an answer's events as text |
//! | [`session`] | the state that all turns of a conversation share |
//! | [`summary`] | the summary of a turn: route, speed and tokens |
//! | [`interactive`] | the interactive prompt and its commands |
//!

mod conversation;
mod interactive;
mod render;
mod session;
mod summary;
mod turn;

use std::io::{self, IsTerminal, Read};

use clap::Args;

use self::{conversation::Conversation, session::Session, turn::Outcome};
use super::{
    connect::Connect, events, exit::Exit, interrupt::Interrupts, output::Output, runtime::block_on,
};
use crate::pb::InferenceConfiguration;

/// Chat with a model through a running gateway, with streaming answers
#[derive(Debug, Args)]
#[command(after_help = "\
With a PROMPT or piped input, chat makes one call: the answer goes to standard output, everything \
else to standard error. With both, the piped input follows the prompt. With neither, chat starts a \
conversation: `/help` lists its commands, and Ctrl-C ends the answer, not the conversation. \
Exit codes: see `bedrock-grpc --help`.

Examples:
  bedrock-grpc chat --target claude
  bedrock-grpc chat --target claude 'Why is the sky blue?' --max-tokens 300
  git diff | bedrock-grpc chat --target claude 'Review this:'
  bedrock-grpc chat --target us.amazon.nova-pro-v1:0 --json Hello | jq -c .")]
pub struct Chat {
    /// The prompt. Several arguments are joined by spaces
    #[arg(value_name = "PROMPT")]
    prompt: Vec<String>,

    /// The target: an alias of the gateway's configuration, a model ID, an inference profile ID or
    /// an ARN
    #[arg(long, env = "BEDROCK_GRPC_TARGET", value_name = "NAME")]
    target: String,

    /// System prompt for the model [default: none]
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,

    /// Show the model's reasoning, on standard error [default: not shown]
    #[arg(long)]
    show_reasoning: bool,

    /// Start a conversation even if standard input is not a terminal. Each line is a question
    #[arg(long)]
    interactive: bool,

    /// Print the answer's events as JSON lines. If the call fails, the last line is an object with
    /// the member `error`
    #[arg(long, conflicts_with_all = ["interactive", "show_reasoning"])]
    json: bool,

    /// Do not print the summary
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    inference: Inference,

    #[command(flatten)]
    connect: Connect,
}

/// The inference parameters that all models share. The gateway validates them.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Inference")]
struct Inference {
    /// Maximum number of output tokens, at least 1 [default: the model's maximum]
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(i32).range(1..))]
    max_tokens: Option<i32>,

    /// Temperature, 0 to 1 [default: the model's]
    #[arg(long, value_name = "NUMBER")]
    temperature: Option<f64>,

    /// Top-p: consider only the most likely tokens with this total probability, 0 to 1 [default:
    /// the model's]
    #[arg(long, value_name = "NUMBER")]
    top_p: Option<f64>,

    /// Stop sequence. May be repeated [default: none]
    #[arg(long = "stop", value_name = "TEXT")]
    stop_sequences: Vec<String>,
}

impl Inference {
    /// Converts the parameters into Bedrock's structure. `None` if no parameter is set.
    fn into_config(self) -> Option<InferenceConfiguration> {
        let config = InferenceConfiguration {
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            top_p: self.top_p,
            stop_sequences: self.stop_sequences,
        };
        (config != InferenceConfiguration::default()).then_some(config)
    }
}

impl Chat {
    /// Runs the command. Fails if standard output cannot be written.
    pub fn run(self, output: &mut Output) -> io::Result<Exit> {
        let stdin_is_terminal = io::stdin().is_terminal();
        let mut prompt = self.prompt.join(" ");
        let interactive = self.interactive || (prompt.is_empty() && stdin_is_terminal);
        // The input is read before the handler for Ctrl-C is installed, so that Ctrl-C ends the
        // process while it waits for the pipe.
        if !interactive && !stdin_is_terminal {
            match read_stdin() {
                Ok(piped) => append(&mut prompt, &piped),
                Err(error) => {
                    output.error(&format!("standard input: {error}"));
                    return Ok(Exit::BadInput);
                }
            }
        }
        if !interactive && prompt.trim().is_empty() {
            output.error("no prompt: pass one as an argument or on standard input");
            return Ok(Exit::Usage);
        }
        if interactive && self.json {
            output.error("--json makes one call and needs a prompt: pass one as an argument or on standard input");
            return Ok(Exit::Usage);
        }
        block_on(self.talk(prompt, interactive, output))
    }

    async fn talk(
        self,
        prompt: String,
        interactive: bool,
        output: &mut Output,
    ) -> io::Result<Exit> {
        let gateway = match output.checked(self.connect.gateway(None)) {
            Ok(gateway) => gateway,
            Err(exit) => return Ok(exit),
        };
        let mut session = Session {
            gateway,
            conversation: Conversation::new(self.target, self.system, self.inference.into_config()),
            interrupts: Interrupts::listen()?,
            show_reasoning: self.show_reasoning,
            show_summary: !self.quiet,
        };
        if interactive {
            return interactive::run(&mut session, prompt, output).await;
        }
        if self.json {
            let request = session.conversation.request(&prompt);
            let Session {
                gateway,
                interrupts,
                ..
            } = &mut session;
            return events::print(gateway, &request, interrupts, output).await;
        }
        let (outcome, _) = turn::take(&mut session, &prompt, output).await?;
        Ok(match outcome {
            Outcome::Whole => Exit::Success,
            Outcome::Cut => Exit::Cancelled,
            Outcome::Failed(exit) => exit,
        })
    }
}

fn read_stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

/// Appends the piped input to the prompt, after a blank line.
fn append(prompt: &mut String, piped: &str) {
    let piped = piped.trim_end();
    if !prompt.is_empty() && !piped.is_empty() {
        prompt.push_str("\n\n");
    }
    prompt.push_str(piped);
}
