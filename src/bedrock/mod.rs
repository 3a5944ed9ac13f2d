//! The client of AWS: the only module that sends requests to AWS.
//!
//! [`Sdk`] is the configuration that aws-config's chain loads once; all workers share it. Each
//! worker has a [`Bedrock`], which has one client per source Region and its own connections.
//! [`Bedrock::converse_stream`] sends a body unchanged and returns [`BedrockEvents`]. Polling these
//! decodes them, so that no task or channel delays a token.
//!
//! | module | job |
//! |---|---|
//! | `client` | the SDK's clients, with hooks that insert request bodies and extract responses |
//! | `open` | an upstream call up to its first event |
//! | `credentials` | the gateway's AWS credentials: aws-config's chain, rebuilt when files change |
//! | `accounts` | which session signs a call: that of an account, or the caller's own |
//! | `session` | the credentials of an assumed role |
//! | `session_name` | the names of callers' sessions |
//! | `control` | reads inference profiles from Bedrock's control plane |
//! | `events` | decodes a response body into events |
//! | `frame` | decodes the AWS event-stream encoding |
//! | `failure` | converts Bedrock's errors and connection errors into failures |
//! | `http` | the HTTP client of the SDK, with its connection pool |

mod accounts;
mod client;
mod control;
mod credentials;
mod events;
mod failure;
mod frame;
mod http;
mod open;
mod sdk;
mod session;
mod session_name;

pub use accounts::SessionOwner;
pub use client::{Answer, Bedrock, Endpoint, TokenCount};
pub use control::{ControlPlane, InferenceProfile};
pub use events::{BedrockEvent, BedrockEvents};
#[cfg(any(test, fuzzing))]
pub(crate) use frame::{CorruptFrame, Frame, FrameDecoder};
pub use http::TlsError;
#[cfg(test)]
pub(crate) use http::memory;
pub use open::Opened;
pub use sdk::Sdk;
