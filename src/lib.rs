//! A gateway between gRPC and Amazon Bedrock: gRPC calls come in, ConverseStream calls go out.
//!
//! # Where things are
//!
//! | module | job |
//! |---|---|
//! | [`cli`] | the command line: one file or folder for each command |
//! | [`server`] | listeners, workers, connections, TLS, drain: a checked configuration becomes a running gateway |
//! | [`grpc`] | the gRPC services, the layers around them, and the table from failures to gRPC statuses |
//! | [`access`] | who calls: identities, and what proves them |
//! | [`stream`] | one call in progress: state machine, clocks, heartbeats, grammar, stalled clients, the report at its end |
//! | [`validate`] | the rules for requests; all violations at once |
//! | [`translate`] | protobuf messages to and from Bedrock's JSON; both directions of a type in one file |
//! | [`routing`] | from a target's name to its routes; health of routes, retries and failover before the first event |
//! | [`aws`] | what a model ID or an ARN says about itself: kind, Region, geography; the region fence |
//! | [`bedrock`] | the only module that calls AWS: clients, credentials, connections, event-stream frames |
//! | [`config`] | the only reader of files and of the environment: as written, then as checked |
//! | [`telemetry`] | logs, metrics and traces |
//! | [`admin`] | liveness, readiness and metrics on a port of their own |
//! | [`playground`] | a web page for trying the gateway, built from `playground/` |
//! | [`error`] | what can go wrong with a call, before it becomes a gRPC status |
//! | [`pb`] | the types that are generated from `proto/` |
//!
//! The emulator that `dev`, `emulate` and the tests use is a crate of its own, in `emulator/`. It imports nothing from the
//! gateway.
//!
//! # Which way dependencies run
//!
//! `main -> cli -> server -> grpc -> {validate, translate, access, stream -> routing -> bedrock}`. Every module may use [`error`],
//! [`aws`], the data of [`config`] and the handles of [`telemetry`]. [`pb`] types stay in `grpc`, `stream`, `translate`,
//! `validate` and the client commands; AWS SDK types in `bedrock`; `tonic::Status` in `grpc`; clap in `cli`; the environment in
//! `config`. `tests/architecture` holds these rules.

pub mod access;
pub mod admin;
pub mod aws;
pub mod bedrock;
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
