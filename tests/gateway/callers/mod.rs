//! Who may call the gateway.

mod issuers;
mod keys;
mod limits;
mod process;
mod tokens;
