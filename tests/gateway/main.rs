//! The gateway's behaviour over real sockets: emulator, AWS SDK, gateway and a gRPC client.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod callers;
#[cfg(test)]
mod coalesce;
#[cfg(test)]
mod counting;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod guardrails;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod invoke;
#[cfg(test)]
mod log;
#[cfg(test)]
mod media;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod models;
#[cfg(test)]
mod models_stream;
#[cfg(test)]
mod models_units;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod projects;
#[cfg(test)]
mod raw_members;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod retries;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod services;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod unread;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod validation;
