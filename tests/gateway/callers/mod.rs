//! Who may call.

mod keys;
mod process;
