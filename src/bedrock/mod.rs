//! The only module that talks to AWS.
//!
//! [`Sdk`] is the result of aws-config's chain, read once and shared. A [`Bedrock`] belongs to one
//! worker: a client per source Region, over connections that no other worker uses.
//! [`Bedrock::converse_stream`] sends a body unchanged and returns [`Frames`], which are decoded
//! when they are polled: no task and no channel is in the path of a token.
//!
//! | module | job |
//! |---|---|
//! | `client` | the SDK's clients, and the hooks for raw bodies |
//! | `open` | a call up to its first event |
//! | `credentials` | the gateway's AWS identity: aws-config's chain, read again after changes |
//! | `control` | destinations of inference profiles |
//! | `frames` | turns a response body into events |
//! | `frame` | AWS's event-stream framing |
//! | `failure` | what Bedrock's errors and connection errors mean |
//! | `http` | the HTTP client under the SDK |

mod client;
mod control;
mod credentials;
mod failure;
mod frame;
mod frames;
mod http;
mod open;
mod sdk;

pub use client::{Answer, Bedrock, Endpoint};
pub use control::{ControlPlane, Profile};
pub use frames::{Frame, Frames};
pub use http::TlsError;
#[cfg(test)]
pub(crate) use http::memory;
pub use open::Opened;
pub use sdk::Sdk;
