//! `bedrock-grpc`: parse, dispatch, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    bedrock_grpc::cli::main().into()
}
