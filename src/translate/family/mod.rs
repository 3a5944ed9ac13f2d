//! The messages of the API, a file for each family of them: which member of Bedrock's JSON each field is.

mod cache;
mod citation;
mod content;
mod converse;
mod delta;
mod guardrail;
mod media;
mod metadata;
mod tool;
