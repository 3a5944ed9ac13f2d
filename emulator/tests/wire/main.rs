//! The emulator over real sockets, from the view of AWS's SDK for Rust, a plain HTTP client and the
//! SDK's frame decoder.
#![expect(
    clippy::expect_used,
    reason = "a test's helpers fail the test by panicking"
)]

mod account;
mod control;
mod faults;
mod frames;
mod guardrail;
mod invoke_model;
mod projects;
mod quotas;
mod regions;
mod replay;
mod runtime;
mod signatures;
mod sts;
mod support;
mod wire;
