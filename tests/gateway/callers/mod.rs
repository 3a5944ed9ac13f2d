//! Callers: how they authenticate, and their permissions and limits.

mod certificates;
mod issuers;
mod keys;
mod limits;
mod matrix;
mod observed;
mod own_limits;
mod permission;
mod process;
mod store;
mod tokens;
mod walk;
