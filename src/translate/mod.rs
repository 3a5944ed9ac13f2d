//! Pure translation between the proto and the JSON of Bedrock, both ways.

mod error;
mod family;
pub mod json;
pub mod request;
mod table;

pub use error::Error;
