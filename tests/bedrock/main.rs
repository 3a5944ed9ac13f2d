//! Tests of the module `bedrock` with a small server in Bedrock's place, over real sockets.

#![expect(
    clippy::expect_used,
    reason = "a test that panics is a test that fails"
)]

mod calls;
mod chain;
mod connections;
mod differential;
mod environment;
mod plain_sdk;
mod refusals;
mod server;
mod upstream;
