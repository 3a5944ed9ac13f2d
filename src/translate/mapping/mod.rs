//! Maps the fields of each proto message to members of Bedrock's JSON. Each message has one table.

mod cache;
mod citation;
mod content;
mod converse;
mod delta;
mod guardrail;
mod media;
mod metadata;
mod tool;
