//! The fuzz targets: what each does with its input, and what must be true then. `fuzz/` runs them
//! with cargo-fuzz. The tests of this module replay the corpora.
//!
//! This module is compiled only for tests and with `--cfg fuzzing`, so that it can use private
//! items of the crate. A target panics if a property does not hold.
//!
//! | target | what is fuzzed |
//! |---|---|
//! | [`frames`] | the decoder of the event-stream encoding |
//! | [`json_reader`], [`json_writer`] | JSON without a tree |
//! | [`request`] | the translation of requests to Bedrock's JSON and back |
//! | [`raw_members`] | raw members that are inserted into JSON |
//! | [`fold`] | the events of a stream, combined into one answer |
//! | [`config`] | the text of a configuration |
//! | [`native_bodies`] | enforced settings in bodies in the models' own formats |
//! | [`grpc_web`] | the body of a gRPC-Web request and its response |
//! | `input`, `events`, `values` | what the targets share |

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold is a panic"
)]

mod config;
mod events;
mod fold;
mod frames;
mod grpc_web;
mod input;
mod json_reader;
mod json_writer;
mod native_bodies;
mod raw_members;
mod request;
mod values;

pub use config::config;
pub use fold::fold;
pub use frames::frames;
pub use grpc_web::grpc_web;
pub use json_reader::json_reader;
pub use json_writer::json_writer;
pub use native_bodies::native_bodies;
pub use raw_members::raw_members;
pub use request::request;

/// A fuzz target. Panics if the input shows a mistake.
pub type Target = fn(&[u8]);

/// All targets with their names, which are those of their corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("config", config),
    ("fold", fold),
    ("frames", frames),
    ("grpc_web", grpc_web),
    ("json_reader", json_reader),
    ("json_writer", json_writer),
    ("native_bodies", native_bodies),
    ("raw_members", raw_members),
    ("request", request),
];

#[cfg(test)]
mod tests;
