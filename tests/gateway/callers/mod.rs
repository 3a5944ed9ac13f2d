//! Who may call the gateway.

mod certificates;
mod issuers;
mod keys;
mod limits;
mod process;
mod store;
mod tokens;
