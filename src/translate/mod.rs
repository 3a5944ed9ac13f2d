//! Pure translation between the proto and the JSON of Bedrock, both ways.

mod error;
pub mod event;
mod family;
pub mod fold;
mod gateway;
pub mod json;
mod raw;
pub mod request;
pub mod response;
mod table;

pub use error::Error;
