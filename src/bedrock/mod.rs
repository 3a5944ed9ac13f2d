//! The client of AWS: the only module that sends requests to AWS.
//!
//! [`Sdk`] is the configuration that aws-config's chain loads once. All workers share it. Each
//! worker has a [`Bedrock`], which has its own connections and one client per account and source
//! Region. [`Bedrock::converse_stream`] sends a body unchanged and returns [`BedrockEvents`].
//! Polling these events also decodes them, so that no task or channel delays a token.
//!
//! | module | job |
//! |---|---|
//! | `sdk` | the configuration that aws-config's chain loads once |
//! | `client` | the SDK's clients, one for each account and source Region |
//! | `exchange` | hooks that insert request bodies and extract responses |
//! | `repeat` | makes requests by repeating an earlier one of the SDK, or by the SDK |
//! | `request_key` | identifies requests that can be made from the same template |
//! | `request_template` | a request of the SDK that can be repeated with another body |
//! | `request_templates` | the templates of a client |
//! | `signature` | signs repeated requests, and caches the signing keys |
//! | `clock_skew` | measures the difference between Bedrock's clock and the machine's clock |
//! | `converse_stream` | calls ConverseStream, and returns when the response headers have arrived |
//! | `count_tokens`, `apply_guardrail` | call CountTokens and ApplyGuardrail |
//! | `invoke_model` | calls InvokeModel, and its variant that streams |
//! | `request_body` | the body of a request, with its hash |
//! | `open` | makes an upstream call up to its first event |
//! | `credentials` | loads the gateway's AWS credentials, and reloads them when they change |
//! | `api_key` | the Bedrock API key from a file, and its replacement |
//! | `accounts` | selects the session that signs a call: that of the account or of the caller |
//! | `session` | the credentials of an assumed role |
//! | `denial` | when a session is replaced because Bedrock denies access |
//! | `session_name` | the names of callers' sessions |
//! | `control` | reads inference profiles from Bedrock's control plane |
//! | `events` | decodes a response body into events |
//! | `frame` | decodes the AWS event-stream encoding |
//! | `frame_memory` | the memory budget of large frames, which the caller provides |
//! | `memory_wait` | whether an attempt waits for memory of the gateway |
//! | `failure` | converts Bedrock's errors and connection errors into failures |
//! | `http` | the HTTP client of the SDK, with its connection pool |

mod accounts;
mod api_key;
mod apply_guardrail;
mod client;
mod clock_skew;
mod control;
mod converse_stream;
mod count_tokens;
mod credentials;
mod denial;
mod events;
mod exchange;
mod failure;
mod frame;
mod frame_memory;
mod http;
mod invoke_model;
mod memory_wait;
mod open;
mod repeat;
mod request_body;
mod request_key;
mod request_template;
mod request_templates;
mod sdk;
mod session;
mod session_name;
mod signature;

pub use accounts::SessionOwner;
pub use api_key::BedrockApiKey;
pub use apply_guardrail::GuardrailAnswer;
pub use client::Bedrock;
pub use control::{ControlPlane, FoundationModel, InferenceProfile};
pub use converse_stream::StreamResponse;
pub use count_tokens::CountHead;
pub use events::{BedrockEvent, BedrockEvents};
pub use exchange::Endpoint;
#[cfg(any(test, fuzzing))]
pub(crate) use frame::{CorruptFrame, Frame, FrameDecoder};
pub use frame_memory::{FrameMemory, FrameRoom, Reservation};
#[cfg(test)]
pub(crate) use http::memory;
pub use http::{TlsError, Trust};
pub use invoke_model::{
    AnswerBody, HeaderCounts, ModelAnswer, ModelGuardrail, ModelHead, ModelOptions,
};
pub use memory_wait::MemoryWait;
pub use open::Opened;
pub use request_body::RequestBody;
pub use sdk::Sdk;
