//! What callers, networks and operators do to a gateway that must not fall over.

mod cancel;
mod deadline;
mod drain;
mod peers;
mod upstream;
