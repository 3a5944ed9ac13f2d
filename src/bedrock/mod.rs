//! The only place that talks to AWS.
//!
//! [`Sdk`] is what aws-config's chain says, read once and shared. A [`Bedrock`] is a worker's own: a client per source
//! Region over connections that nobody else uses. [`Bedrock::converse_stream`] sends a body as it is, byte for byte, and
//! answers with [`Frames`], which are decoded by whoever polls them: no task and no channel is in the path of a token.
//!
//! | module | job |
//! |---|---|
//! | `client` | the SDK's clients, and the hooks that put our bytes in and take Bedrock's bytes out |
//! | `open` | a call up to its first event |
//! | `credentials` | the gateway's AWS identity: aws-config's chain, read again when it changes |
//! | `control` | what inference profiles lead to |
//! | `frames` | from a response's body to events |
//! | `frame` | AWS's event-stream framing |
//! | `failure` | what Bedrock's errors, and errors on the way to it, mean |
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
pub use open::Opened;
pub use sdk::Sdk;
