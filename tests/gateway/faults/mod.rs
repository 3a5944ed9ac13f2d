//! Failures that callers, networks and operators can cause. The gateway must continue to serve.

mod cancel;
mod deadline;
mod drain;
mod peers;
mod refused;
mod upstream;
