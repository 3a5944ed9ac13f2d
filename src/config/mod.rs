//! What the operator decides. The only reader of files and environment.

pub mod bedrock;
