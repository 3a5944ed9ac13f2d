//! A local Bedrock that speaks the real wire. Imports nothing from the gateway.

pub mod answer;
pub mod script;
