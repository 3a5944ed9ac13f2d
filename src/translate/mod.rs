//! Translates between the proto and Bedrock's JSON, in both directions. Nothing here performs I/O.
//!
//! | module | job |
//! |---|---|
//! | [`request`] | the body of a request to Bedrock |
//! | [`event`] | one event of a stream |
//! | [`fold`] | combines the events of a stream into one answer |
//! | [`response`] | the complete answer in Converse's form |
//! | `family` | one table for each message, which maps fields to members of Bedrock's JSON; a new content block or request member is added here |
//! | `table` | the macros that turn a table into a reader and a writer |
//! | `free_json` | visits JSON that callers write themselves |
//! | `halves` | characters that Bedrock split between two deltas |
//! | `history` | answers that callers send back as part of the conversation |
//! | `raw` | inserts raw members into JSON |
//! | `gateway` | the JSON of what only the gateway adds |
//! | [`json`] | JSON without a tree |
//!
//! Each module uses only modules below it in this table. No JSON tree is built: for one token, only
//! its text is allocated.

mod error;
pub mod event;
mod family;
pub mod fold;
pub(crate) mod free_json;
mod gateway;
mod halves;
pub(crate) mod history;
pub mod json;
mod raw;
pub mod request;
pub mod response;
mod table;

pub use error::Error;
