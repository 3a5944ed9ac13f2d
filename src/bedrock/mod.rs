//! The client of AWS: the only module that sends requests to AWS.
//!
//! [`Sdk`] is the configuration from aws-config's chain, loaded once and shared by all workers.
//! Each worker has a [`Bedrock`] with one client per source Region and its own connections.
//! [`Bedrock::converse_stream`] sends a body byte for byte and returns [`BedrockEvents`]. Polling
//! these decodes them: no task and no channel lies in the path of a token.
//!
//! | module | job |
//! |---|---|
//! | `client` | the SDK's clients, and the hooks that insert request bodies and extract responses |
//! | `open` | an upstream call up to its first event |
//! | `credentials` | the gateway's AWS identity: aws-config's chain, rebuilt when files change |
//! | `control` | Bedrock's control plane: inference profiles |
//! | `events` | decodes a response body into events |
//! | `frame` | the AWS event-stream encoding |
//! | `failure` | converts Bedrock's errors and connection errors into failures |
//! | `http` | the HTTP client under the SDK |

mod client;
mod control;
mod credentials;
mod events;
mod failure;
mod frame;
mod http;
mod open;
mod sdk;

pub use client::{Answer, Bedrock, Endpoint};
pub use control::{ControlPlane, InferenceProfile};
pub use events::{BedrockEvent, BedrockEvents};
pub use http::TlsError;
#[cfg(test)]
pub(crate) use http::memory;
pub use open::Opened;
pub use sdk::Sdk;
