//! What a call needs to begin, and how it can fail.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{report::CallReport, timers::Times};
use crate::{
    bedrock::Bedrock,
    config::OnCancel,
    error::Failure,
    pb,
    routing::{RouteCandidate, Target, attempts::AttemptPolicy},
};

/// What a call needs.
pub(crate) struct Call {
    pub(crate) bedrock: Bedrock,
    pub(crate) target: Arc<Target>,
    /// The routes that the call may take.
    pub(crate) candidates: Vec<RouteCandidate>,
    /// The Converse request body.
    pub(crate) body: Bytes,
    pub(crate) times: Times,
    /// How attempts are made until the first event.
    pub(crate) policy: AttemptPolicy,
    /// How long the client may read nothing.
    pub(crate) write_stall: Duration,
    pub(crate) on_cancel: OnCancel,
    pub(crate) request_id: Arc<str>,
    pub(crate) report: CallReport,
    /// Cancelled when the drain has expired.
    pub(crate) cut: CancellationToken,
}

/// A failed call and its attempts: everything that a status needs.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// All attempts, the last one with the failure's reason.
    pub(crate) attempts: Vec<pb::Attempt>,
    /// The gateway's ID of the call.
    pub(crate) request_id: Arc<str>,
}
