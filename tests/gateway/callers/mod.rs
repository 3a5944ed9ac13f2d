//! Who may call the gateway.

mod keys;
mod process;
