//! Keeps the documentation in step with the code: a table in `docs/` that the code also has must
//! say the same. `UPDATE_DOCS=1 cargo test --test docs` writes the generated parts.

// All of this is test code; `cfg(test)` lets clippy know that it may panic.
#[cfg(test)]
mod commands;
#[cfg(test)]
mod config;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod links;
#[cfg(test)]
mod log_lines;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod page;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod schema;
