//! `bedrock-grpc`: parse, dispatch, exit code.

fn main() {}
