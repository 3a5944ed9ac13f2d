//! Translation between the proto and Bedrock's JSON, both ways.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

#[path = "translate/events.rs"]
mod events;
#[path = "translate/fold.rs"]
mod fold;
#[path = "translate/frames.rs"]
mod frames;
#[path = "translate/generate.rs"]
mod generate;
#[path = "translate/json.rs"]
mod json;
#[path = "translate/properties.rs"]
mod properties;
#[path = "translate/raw_members.rs"]
mod raw_members;
#[path = "translate/recorded.rs"]
mod recorded;
#[path = "translate/requests.rs"]
mod requests;
#[path = "translate/values.rs"]
mod values;
