//! A gateway between gRPC and Amazon Bedrock: gRPC calls come in, ConverseStream calls go out.
//!
//! # Where things are
//!
//! | module | job |
//! |---|---|
//! | [`cli`] | the command line: one file or folder for each command |
//! | [`server`] | listeners, workers, connections, TLS, drain: runs a checked configuration |
//! | [`grpc`] | gRPC services, the layers around them, the table from failures to statuses |
//! | [`access`] | identifies callers by their credentials |
//! | [`stream`] | one call in progress: state machine, timers, heartbeats, stalls, report |
//! | [`validate`] | the rules for requests; reports all violations at once |
//! | [`translate`] | protobuf messages to and from Bedrock's JSON; one table for each type |
//! | [`routing`] | targets and routes; health, retries and failover before the first event |
//! | [`aws`] | what a model ID or ARN means: kind, Region, geography; the fence |
//! | [`bedrock`] | the only module that calls AWS: credentials, connections, frames |
//! | [`bounds`] | what all clients share (calls, memory, threads), divided fairly |
//! | [`config`] | the only reader of files and the environment: as written, then checked |
//! | [`telemetry`] | logs, metrics and traces |
//! | [`admin`] | liveness, readiness and metrics, on their own port |
//! | [`playground`] | a web page for trying the gateway, built from `playground/` |
//! | [`error`] | why a call failed, before that becomes a gRPC status |
//! | [`pb`] | the types that are generated from `proto/` |
//!
//! The emulator that `dev`, `emulate` and the tests use is a separate crate, in `emulator/`. It
//! imports nothing from the gateway.
//!
//! # Direction of dependencies
//!
//! `main -> cli -> server -> grpc -> {validate, translate, access, stream -> routing -> bedrock}`.
//! Every module may use [`error`], [`aws`], the data of [`config`] and the handles of
//! [`telemetry`]. [`pb`] types stay in `grpc`, `stream`, `translate`, `validate` and the client
//! commands; AWS SDK types in `bedrock`; `tonic::Status` in `grpc`; clap in `cli`; the environment
//! in `config`. `tests/architecture` enforces these rules.

pub mod access;
pub mod admin;
pub mod aws;
pub mod bedrock;
pub mod bounds;
pub mod cli;
pub mod config;
pub mod error;
pub mod grpc;
pub mod pb;
pub mod playground;
pub mod routing;
pub mod server;
pub mod stream;
pub mod telemetry;
pub mod translate;
pub mod validate;
