//! Translates between the proto and Bedrock's JSON, in both directions. This module performs no
//! I/O.
//!
//! | module | job |
//! |---|---|
//! | [`request`] | the body of a request to Bedrock |
//! | [`event`] | translates one event of a stream |
//! | [`fold`] | combines the events of a stream into one answer |
//! | [`guardrail`] | requests and responses of ApplyGuardrail |
//! | [`response`] | the complete answer, in the format of Converse |
//! | `mapping` | one table per message; new content blocks and request members are added here |
//! | `open_enum` | the values of open enums |
//! | `table` | the macros that turn a table into a reader and a writer |
//! | `visit_json` | visits JSON that callers write themselves |
//! | `split_surrogates` | joins characters that Bedrock split between two deltas |
//! | `history` | repairs answers that callers send back as part of the conversation |
//! | `raw` | inserts raw members into JSON |
//! | `gateway_members` | writes the gateway's additions to an answer as JSON |
//! | [`json`] | reads and writes JSON without building a tree |
//! | `error` | the error for JSON that does not match a table |
//!
//! Each module uses only modules below it in this table. No JSON tree is built: for a token, only
//! its text is allocated.

mod error;
pub mod event;
pub mod fold;
mod gateway_members;
pub mod guardrail;
pub(crate) mod history;
pub mod json;
mod mapping;
pub(crate) mod open_enum;
pub(crate) mod raw;
pub mod request;
pub mod response;
mod split_surrogates;
mod table;
pub(crate) mod visit_json;

pub use error::Error;
