//! The client commands, as processes, against a gateway with scripted answers.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod chat;
#[cfg(test)]
mod check;
#[cfg(test)]
mod count;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod guardrail;
#[cfg(test)]
mod health;
#[cfg(test)]
mod iam_policy;
#[cfg(test)]
mod invoke;
#[cfg(test)]
mod invoke_model;
#[cfg(test)]
mod process;
// The crate that creates the certificate comes with the emulator.
#[cfg(all(test, feature = "emulator"))]
mod tls;
