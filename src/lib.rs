//! gRPC in, Amazon Bedrock ConverseStream out.
//!
//! # Where things are
//!
//! | module | job |
//! |---|---|
//! | [`cli`] | one file per subcommand |
//! | [`app`] | assembly: config + listeners + shutdown -> running gateway |
//! | [`config`] | the only reader of files and environment; raw as written -> checked as used |
//! | [`grpc`] | the surface: services, layers, event pump, validation, the error-to-status table |
//! | [`access`] | who calls: identities, and what proves them |
//! | [`translate`] | pure: proto <-> Bedrock's JSON, both directions of a family in one file |
//! | [`routing`] | target names -> where to call; health of routes; failover until the first event |
//! | [`model_id`] | what a model ID or ARN says of itself: kind, Region, geography |
//! | [`bedrock`] | the only place that talks to AWS: clients, connections, event-stream frames |
//! | [`telemetry`] | logs, metrics and traces |
//! | [`admin`] | liveness, readiness and metrics on a port of its own |
//! | [`playground`] | a page for people, built from `playground/` |
//! | [`error`] | one type for what can go wrong with a call, before it becomes a gRPC status |
//!
//! The emulated Bedrock of `dev`, `emulate` and the tests is a crate of its own, in `emulator/`: it imports nothing from the gateway.
//!
//! # Which way dependencies run
//!
//! `main -> cli -> app -> grpc -> {translate, access, routing -> bedrock}`. Everything may use [`error`], [`model_id`], [`config`]'s data and
//! [`telemetry`]'s handles. [`pb`] types stay in `grpc`, `translate` and the client commands; AWS types in `bedrock`;
//! `tonic::Status` in `grpc`; clap in `cli`; the environment in `config`. `tests/architecture.rs` holds these rules.

pub mod access;
pub mod admin;
pub mod app;
pub mod bedrock;
pub mod cli;
pub mod config;
pub mod error;
pub mod grpc;
pub mod model_id;
pub mod pb;
pub mod playground;
pub mod routing;
pub mod telemetry;
pub mod translate;
