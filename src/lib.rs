//! A gateway that serves Amazon Bedrock's ConverseStream over gRPC.
//!
//! # Modules
//!
//! | module | job |
//! |---|---|
//! | [`cli`] | the command line: one file or folder for each command |
//! | [`server`] | runs a validated configuration: listeners, workers, connections, TLS, drain |
//! | [`grpc`] | gRPC services, the layers around them, and the table from failures to statuses |
//! | [`access`] | identifies callers by their credentials |
//! | [`stream`] | one call in progress: state machine, timers, heartbeats, stalls, report |
//! | [`validate`] | the rules for requests; reports all violations at once |
//! | [`translate`] | protobuf messages to and from Bedrock's JSON; one table for each type |
//! | [`routing`] | targets and routes; health, retries and failover before the first event |
//! | [`aws`] | parses model IDs, ARNs and Regions; geographies and the fence |
//! | [`bedrock`] | the only module that calls AWS: credentials, connections, frames |
//! | [`bounds`] | divides calls, memory and threads fairly among clients |
//! | [`config`] | validates the configuration; alone reads files and the environment |
//! | [`telemetry`] | logs, metrics, traces and usage records |
//! | [`admin`] | liveness, readiness and metrics, on a separate port |
//! | [`playground`] | a web page for trying the gateway, built from `playground/` |
//! | [`error`] | the reasons for which a call can fail, independent of gRPC |
//! | [`pb`] | the types that are generated from `proto/` |
//! | `fuzzing` | the fuzz targets, for tests and cargo-fuzz only |
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
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod grpc;
pub mod pb;
pub mod playground;
pub mod routing;
pub mod server;
pub mod stream;
pub mod telemetry;
pub mod translate;
pub mod validate;
