//! The binary `bedrock-grpc`. It only calls [`bedrock_grpc::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    bedrock_grpc::cli::main().into()
}
