//! The messages of the API, one file per family: the mapping from fields to members of Bedrock's
//! JSON.

mod cache;
mod citation;
mod content;
mod converse;
mod delta;
mod guardrail;
mod media;
mod metadata;
mod tool;
