//! Pure translation between the proto and the JSON of Bedrock, both ways.
//!
//! | module | job |
//! |---|---|
//! | [`request`] | the body of a call |
//! | [`event`] | one event of a stream |
//! | [`fold`] | the events of a stream -> the whole answer |
//! | [`response`] | the whole answer as Converse would have given it |
//! | `family` | a table for each message: which member is which field. What Bedrock adds is added there |
//! | `table` | what makes readers and writers of tables |
//! | `free_json` | visits JSON that callers write themselves |
//! | `halves` | characters that Bedrock cut in half between two deltas |
//! | `raw` | puts members that no field holds into JSON |
//! | `gateway` | what only the gateway says, in JSON |
//! | [`json`] | JSON without a tree |
//!
//! They depend on each other from top to bottom. Trees of JSON are never built: a token's event costs no allocation but its text.

mod error;
pub mod event;
mod family;
pub mod fold;
pub(crate) mod free_json;
mod gateway;
mod halves;
pub mod json;
mod raw;
pub mod request;
pub mod response;
mod table;

pub use error::Error;
