//! The command line. Each command has its own file or folder.
//!
//! | module | job |
//! |---|---|
//! | [`chat`], [`invoke`], [`count`], [`guardrail`], [`targets`] | commands that call a gateway |
//! | [`invoke_model`] | calls a model in its own format |
//! | [`limits`], [`health`] | commands that ask a gateway about the caller and about itself |
//! | [`serve`], `dev`, `emulate` | the commands that serve |
//! | `sample_callers` | the two callers of `dev --callers` |
//! | [`emulated_quotas`] | the options for quotas that `dev` and `emulate` share |
//! | [`signals`] | the signals of commands that serve |
//! | [`check`] | validates configuration files |
//! | [`diff`] | prints what a reload would change |
//! | [`schema`] | prints the JSON schema of the configuration |
//! | [`iam_policy`] | prints the IAM policy that a configuration needs |
//! | [`keys`] | creates API keys for callers |
//! | [`credential`] | the API key or token that client commands send |
//! | [`connect`] | the connection options of client commands |
//! | [`client`] | the calls of client commands, with deadlines and a retry |
//! | `request_file` | the file with a Converse request |
//! | `socket_address` | the addresses on which `dev` and `emulate` listen |
//! | [`events`] | prints an answer as JSON lines |
//! | [`failure`] | a failed call, which is printed as text or JSON |
//! | [`interrupt`] | handles Ctrl-C |
//! | `runtime` | runs a command on the current thread |
//! | [`exit`] | the exit codes |
//! | [`output`] | the only module that writes to standard output and standard error |

pub mod chat;
pub mod check;
pub mod client;
pub mod connect;
pub mod count;
pub mod credential;
#[cfg(feature = "emulator")]
pub mod dev;
pub mod diff;
#[cfg(feature = "emulator")]
pub mod emulate;
#[cfg(feature = "emulator")]
pub mod emulated_quotas;
pub mod events;
pub mod exit;
pub mod failure;
pub mod guardrail;
pub mod health;
pub mod iam_policy;
pub mod interrupt;
pub mod invoke;
pub mod invoke_model;
pub mod keys;
pub mod limits;
pub mod output;
mod request_file;
mod runtime;
#[cfg(feature = "emulator")]
mod sample_callers;
pub mod schema;
pub mod serve;
pub mod signals;
#[cfg(feature = "emulator")]
mod socket_address;
pub mod targets;

use std::io;

use clap::{Parser, Subcommand, ValueEnum};

use exit::Exit;
use output::Output;
use runtime::block_on;

/// gRPC gateway for Amazon Bedrock
#[derive(Debug, Parser)]
#[command(
    name = "bedrock-grpc",
    version,
    propagate_version = true,
    after_help = exit::HELP
)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        help_heading = "Output"
    )]
    color: Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    #[cfg(feature = "emulator")]
    Dev(dev::Dev),
    #[cfg(feature = "emulator")]
    Emulate(emulate::Args),
    Check(check::Check),
    Diff(diff::Diff),
    Schema(schema::Schema),
    IamPolicy(iam_policy::IamPolicy),
    Keys(keys::Keys),
    Chat(chat::Chat),
    Invoke(invoke::Invoke),
    InvokeModel(invoke_model::InvokeModel),
    Count(count::Count),
    Guardrail(guardrail::Guardrail),
    Targets(targets::Targets),
    Limits(limits::Limits),
    Health(health::Health),
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Color {
    /// Only on terminals, and not if NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Parses the arguments, runs the command and returns the exit code. For `--help` and invalid
/// arguments, it ends the process.
pub fn main() -> Exit {
    let cli = Cli::parse();
    match cli.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let mut output = Output::of_process();
    let result = match cli.command {
        Command::Serve(serve) => block_on(serve.run(&mut output)),
        #[cfg(feature = "emulator")]
        Command::Dev(dev) => block_on(dev.run(&mut output)),
        #[cfg(feature = "emulator")]
        Command::Emulate(emulate) => emulator(emulate, &mut output),
        Command::Check(check) => check.run(&mut output),
        Command::Diff(diff) => block_on(diff.run(&mut output)),
        Command::Schema(schema) => schema.run(&mut output),
        Command::IamPolicy(policy) => policy.run(&mut output),
        Command::Keys(keys) => keys.run(&mut output),
        Command::Chat(chat) => chat.run(&mut output),
        Command::Invoke(invoke) => block_on(invoke.run(&mut output)),
        Command::InvokeModel(invoke) => block_on(invoke.run(&mut output)),
        Command::Count(count) => block_on(count.run(&mut output)),
        Command::Guardrail(guardrail) => block_on(guardrail.run(&mut output)),
        Command::Targets(targets) => block_on(targets.run(&mut output)),
        Command::Limits(limits) => block_on(limits.run(&mut output)),
        Command::Health(health) => block_on(health.run(&mut output)),
    };
    match result {
        Ok(exit) => exit,
        // This is not an error: the program that reads the output has closed the pipe, as `head`
        // does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Err(error) => {
            output.error(&format!("cannot write the answer: {error}"));
            Exit::Failed
        }
    }
}

/// Runs the emulator alone.
#[cfg(feature = "emulator")]
fn emulator(args: emulate::Args, output: &mut Output) -> io::Result<Exit> {
    let options = match args.options() {
        Ok(options) => options,
        Err(error) => {
            output.error(&format!("--replay {error}"));
            return Ok(Exit::BadInput);
        }
    };
    Ok(match block_on(args.run(options, io::stdout())) {
        Ok(()) => Exit::Success,
        Err(error) => {
            output.error(&error.to_string());
            Exit::Failed
        }
    })
}
