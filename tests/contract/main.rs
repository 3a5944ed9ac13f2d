//! The streaming contract over real sockets: one file for each behaviour.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod amplification;
#[cfg(test)]
mod backpressure;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod deadline;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod fairness;
#[cfg(test)]
mod h2floods;
#[cfg(test)]
#[path = "../gateway/harness/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of the gateway's tests, of which these need a part"
)]
mod harness;
#[cfg(test)]
mod large_events;
#[cfg(test)]
mod nodelay;
#[cfg(test)]
mod panic;
#[cfg(test)]
mod support;
