//! Pure translation between the proto and Bedrock's JSON, in both directions.
//!
//! | module | job |
//! |---|---|
//! | [`request`] | the body of a call |
//! | [`event`] | one event of a stream |
//! | [`fold`] | combines the events of a stream into one answer |
//! | [`response`] | the complete answer in Converse's form |
//! | `family` | a table per message, which maps fields to members; additions of Bedrock go here |
//! | `table` | turns tables into readers and writers |
//! | `free_json` | visits JSON that callers write themselves |
//! | `halves` | characters that Bedrock split between two deltas |
//! | `history` | answers that callers send back as part of the conversation |
//! | `raw` | inserts raw members into JSON |
//! | `gateway` | the JSON of what only the gateway adds |
//! | [`json`] | JSON without a tree |
//!
//! They depend on each other from top to bottom. No JSON tree is built: a token's event allocates
//! only its text.

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
