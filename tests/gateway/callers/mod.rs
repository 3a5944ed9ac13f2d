//! Who may call the gateway.

mod keys;
mod limits;
mod process;
