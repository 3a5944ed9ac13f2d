//! The gRPC surface.
