//! The emulator as AWS's own SDK for Rust, a plain HTTP client and the SDK's frame decoder see it, over real sockets.

mod control;
mod faults;
mod frames;
mod replay;
mod runtime;
mod signatures;
mod support;
mod wire;
