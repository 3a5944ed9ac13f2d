//! Defines the context of a call. It has the generation of the configuration, and the data that is
//! read from the headers: request ID, timeout, trace and caller.

mod grpc_timeout;
mod request_id;

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use tokio::time::Instant;

pub(crate) use request_id::REQUEST_ID;

use super::generation::Generation;
use crate::{
    access::{Identity, Revocation},
    error::Failure,
    telemetry::{trace::TraceContext, usage::OpenRecord},
};

/// The context of a call, which is complete before its message is read. A layer puts it into the
/// request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct CallContext {
    /// The configuration that applies to the whole call.
    pub(crate) generation: Arc<Generation>,
    /// The caller's `x-request-id`, or one that the gateway generated.
    pub(crate) request_id: Arc<str>,
    /// When the call's headers arrived. All time limits of the call are measured from this time.
    pub(crate) arrived: Instant,
    /// The caller's `grpc-timeout`, or the error if it is invalid.
    pub(crate) timeout: Result<Option<Duration>, Failure>,
    /// The trace context of the call.
    pub(crate) trace: TraceContext,
    /// The identity of the caller. `None` until it is verified, and for calls that need no
    /// identity.
    pub(crate) caller: Option<Identity>,
    /// Ends the call if a reload revokes its credential or certificate. `None` if a reload cannot
    /// end the call.
    pub(crate) revocation: Option<Arc<Revocation>>,
    /// The usage record of the call, if its caller is identified and records are written.
    pub(crate) record: Option<OpenRecord>,
}

impl CallContext {
    /// Reads the headers of a call that has just arrived.
    pub(crate) fn read(headers: &HeaderMap, generation: Arc<Generation>) -> Self {
        Self {
            generation,
            request_id: request_id::request_id(headers),
            arrived: Instant::now(),
            timeout: grpc_timeout::timeout(headers),
            trace: TraceContext::of_call(headers),
            caller: None,
            revocation: None,
            record: None,
        }
    }
}

impl CallContext {
    /// Returns the time at which the call must have ended. For an invalid timeout, the default
    /// applies, because the call is refused later. `cap` is the target's maximum deadline, if it
    /// has one.
    pub(crate) fn deadline(&self, cap: Option<Duration>) -> Instant {
        let limits = &self.generation.limits;
        let timeout = match self.timeout {
            Ok(Some(timeout)) => timeout,
            Ok(None) | Err(_) => limits.default_deadline,
        };
        let cap = cap.unwrap_or(limits.max_deadline).min(limits.max_deadline);
        self.arrived + timeout.min(cap)
    }
}
