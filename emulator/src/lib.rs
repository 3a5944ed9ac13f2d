//! A local Bedrock that speaks the real wire, for tests, for `dev` and for any AWS SDK. It imports nothing from
//! the gateway: a test of the gateway against it cannot share the gateway's mistakes.
//!
//! | module | job |
//! |---|---|
//! | [`options`] | what can be set |
//! | `server`, `connection`, `tls` | listeners, sockets, graceful stop |
//! | `exchange` | a request that was read, and ways to answer it at once |
//! | `service` | one HTTP request in, one answer out: authentication, then the operation |
//! | [`auth`] | SigV4 signatures and bearer tokens |
//! | `runtime` | Converse and ConverseStream; `fold` and `length` help it |
//! | `inspect` | the emulator's own HTTP API: what was called, and how things are |
//! | `hosts` | which names it answers to |
//! | `state` | what all connections share |
//! | `count` | CountTokens |
//! | `target` | what a model ID means to a source Region |
//! | [`quotas`] | how much calls may take, and who took how much |
//! | `regions` | what source Regions are like at present |
//! | `control` | inference profiles, tags, foundation models, Provisioned Throughput |
//! | `account` | what the account owns: application profiles and tags |
//! | [`catalogue`] | the models, profiles and Regions that it knows |
//! | `shape` | what the service model says of parameters, and whether a request keeps it |
//! | [`answer`] | the brain: a request in, a script of events out |
//! | `plan` | a script and a fault become steps of bytes |
//! | [`fault`] | every way in which a call can fail, on demand |
//! | [`replay`] | recorded exchanges, served again |
//! | [`frame`] | the encoder of `application/vnd.amazon.eventstream` |
//! | [`pace`] | how fast, how long, in which writes |
//! | `playback` | bytes on their way to the client: pace, cuts, endings |
//! | [`calls`] | what was called, and how each call ended |
//!
//! Data flows one way: a request becomes a [`script::Script`], the script becomes steps of bytes, the steps are played.

mod account;
pub mod answer;
pub mod auth;
pub mod calls;
pub mod catalogue;
mod connection;
mod control;
mod count;
mod error;
mod exchange;
pub mod fault;
mod fold;
pub mod frame;
mod hosts;
mod inspect;
mod length;
pub mod options;
pub mod pace;
mod plan;
mod playback;
pub mod quotas;
mod regions;
pub mod replay;
mod runtime;
pub mod script;
mod server;
mod service;
mod shape;
mod stamp;
mod state;
mod target;
mod tls;
mod uri;

pub use self::{
    auth::{AccessKey, Credentials, DEV_ACCESS_KEY_ID, DEV_BEARER_TOKEN, DEV_SECRET_ACCESS_KEY},
    calls::{Call, End},
    fault::Fault,
    options::{Clock, Options},
    pace::{Cut, Pace},
    quotas::{Quota, QuotaOverride, Quotas, Rate},
    regions::Condition,
    replay::Replay,
    server::Emulator,
};

/// Compiles the example in README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
