//! Translation between the proto and Bedrock's JSON, in both directions.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics is a test that fails"
)]

mod events;
mod fold;
mod frames;
mod generate;
mod halves;
mod json;
mod properties;
mod raw_members;
mod recorded;
mod requests;
mod values;
