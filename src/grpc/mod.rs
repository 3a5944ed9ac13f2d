//! The gRPC surface.

pub mod validate;
