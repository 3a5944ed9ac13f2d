//! A local Bedrock that implements the real wire protocol, for tests, for `dev` and for any AWS
//! SDK. It imports nothing from the gateway, so that it cannot share the gateway's mistakes.
//!
//! | module | job |
//! |---|---|
//! | [`options`] | the settings |
//! | `server`, `connection`, `tls` | listeners, sockets, graceful shutdown |
//! | `exchange` | a received request, and ways to answer it immediately |
//! | `service` | answers one HTTP request: authentication, then the operation |
//! | `uri` | parses paths: which operation is called, and with which identifier |
//! | `error`, `timestamp` | errors and times in Bedrock's format |
//! | [`auth`] | SigV4 signatures and bearer tokens |
//! | `runtime` | Converse and ConverseStream, with `fold` and `length` |
//! | `inspect` | the control API: received calls, and conditions |
//! | `hosts` | restricts the accepted host names |
//! | `state` | the state that all connections share |
//! | `count`, `guardrail` | CountTokens, ApplyGuardrail |
//! | `native` | answers bodies in the models' own formats (InvokeModel) |
//! | `sts` | AssumeRole |
//! | `sessions` | the sessions of roles, including roles in other accounts |
//! | `target` | resolves a model ID in a source Region |
//! | [`quotas`] | limits requests, tokens and concurrent calls, and throttles calls |
//! | `regions` | the conditions of source Regions, such as outages |
//! | `projects` | the projects of the accounts, and what each can see |
//! | `control` | inference profiles, tags, foundation models, Provisioned Throughput |
//! | `account` | the resources that change at run time: application profiles and tags |
//! | `lifecycle` | the ends of life of models |
//! | `prompt_cache` | the prefixes of prompts that are in the prompt caches |
//! | [`catalogue`] | the models, profiles and Regions |
//! | `shape` | the parameters of the service model, and the check of a request against them |
//! | [`answer`] | generates answers: converts a request to a script of events |
//! | `plan` | converts a script and a fault to steps of bytes |
//! | `script` | the interface between generating and sending an answer |
//! | [`fault`] | defined ways in which a call can fail |
//! | [`replay`] | serves recorded exchanges |
//! | [`frame`] | the encoder of `application/vnd.amazon.eventstream` |
//! | [`pace`] | the speed and length of answers, and the size of writes |
//! | `playback` | sends bytes to the client, at a pace and with a defined end |
//! | [`calls`] | the log of received calls, and how each one ended |
//!
//! Data flows in one direction: a request is converted to a [`script::Script`], the script is
//! converted to steps of bytes, and the steps are played.

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
mod guardrail;
mod hosts;
mod inspect;
mod length;
mod lifecycle;
mod native;
pub mod options;
pub mod pace;
mod plan;
mod playback;
mod projects;
mod prompt_cache;
pub mod quotas;
mod regions;
pub mod replay;
mod runtime;
pub mod script;
mod server;
mod service;
mod sessions;
mod shape;
mod state;
mod sts;
mod target;
mod timestamp;
mod tls;
mod uri;

pub use self::{
    auth::{AccessKey, Credentials, DEV_ACCESS_KEY_ID, DEV_BEARER_TOKEN, DEV_SECRET_ACCESS_KEY},
    calls::{Call, End},
    fault::{Fault, Position},
    options::{Clock, Options},
    pace::{Cut, Pace},
    projects::Project,
    quotas::{Quota, QuotaOverride, Quotas, Rate},
    regions::Condition,
    replay::Replay,
    server::Emulator,
    sessions::Role,
};

/// Compiles the example in README.md.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
