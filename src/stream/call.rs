//! The inputs of a call, and the result of a failed one.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{decoding::AnswerThreads, report::CallReport, timers::Times};
use crate::{
    access::Revocation,
    bedrock::{Bedrock, RequestBody, SessionOwner},
    config::OnCancel,
    error::Failure,
    pb,
    routing::{RouteCandidate, RouteProjects, Target, attempts::AttemptPolicy},
};

/// The inputs of a call.
pub(crate) struct Call<O> {
    /// The Bedrock operation to call, which also converts its events to messages.
    pub(crate) operation: O,
    pub(crate) bedrock: Bedrock,
    /// The caller, if the call is signed with an AWS session of that caller.
    pub(crate) owner: Option<SessionOwner>,
    pub(crate) target: Arc<Target>,
    /// The routes on which attempts can be made.
    pub(crate) candidates: Vec<RouteCandidate>,
    /// The projects with which the routes are called.
    pub(crate) projects: RouteProjects,
    /// The body of the request to Bedrock.
    pub(crate) body: RequestBody,
    pub(crate) times: Times,
    /// The threads that decode large events.
    pub(crate) threads: AnswerThreads,
    /// The limits on attempts and retries before the first event.
    pub(crate) policy: AttemptPolicy,
    /// How long the client may stop reading before its stream is reset.
    pub(crate) write_stall: Duration,
    pub(crate) on_cancel: OnCancel,
    pub(crate) request_id: Arc<str>,
    pub(crate) report: CallReport,
    /// Cancelled when the drain expires.
    pub(crate) cut: CancellationToken,
    /// Ends the call if a reload revokes its credential or certificate.
    pub(crate) revocation: Option<Arc<Revocation>>,
}

/// A failed call with its attempts: the gRPC status is built from these.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// All attempts, the last one with the failure's reason.
    pub(crate) attempts: Vec<pb::Attempt>,
    /// The request ID of the call.
    pub(crate) request_id: Arc<str>,
}
