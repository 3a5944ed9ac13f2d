//! What callers, networks and operators can do to a gateway, which must survive it.

mod cancel;
mod deadline;
mod drain;
mod peers;
mod refused;
mod upstream;
