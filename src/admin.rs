//! Liveness, readiness and metrics on a port of its own.
