//! Logs the received calls, and how each one ended.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use tokio::sync::watch;

use super::quotas::Lease;

/// The maximum size of all bodies in the log, in bytes. Beyond it, the oldest calls are removed.
const KEEP_BODY_BYTES: usize = 256 << 20;

/// One call of an operation, from its arrival to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The number of the call, counted from 1.
    pub id: u64,
    /// The `x-amzn-requestid` of the answer.
    pub request_id: String,
    /// The operation's name in the API, such as `ConverseStream`. Empty for an unknown path.
    pub operation: &'static str,
    /// The decoded model ID. For a call of the control plane, the identifier of the profile or
    /// model.
    pub model_id: String,
    /// The `projectIdentifier` of a call that runs a model, or of a call of the control plane.
    /// `None` if the call names no project.
    pub project: Option<String>,
    /// When the call arrived.
    pub time: SystemTime,
    /// The AWS account that is called: the account of the role whose session signed the call, or
    /// else the emulator's own account.
    pub account: String,
    /// The ARN of the assumed role, if a session of a role signed the call.
    pub assumed_role: Option<String>,
    /// The tags of the session.
    pub session_tags: Vec<(String, String)>,
    /// The source Region from the signature's scope. If the signature has none, the emulator's
    /// default Region.
    pub region: String,
    /// The Region that served the call: a destination Region of an inference profile, or else the
    /// source Region. `None` if no model served the call.
    pub inference_region: Option<String>,
    /// The HTTP version, such as `HTTP/2.0`.
    pub http_version: String,
    /// The received headers, with lower-case names. `authorization` and `x-amz-security-token` are
    /// omitted.
    pub headers: Vec<(String, String)>,
    /// The exact bytes of the request body.
    pub body: Bytes,
    /// The HTTP status of the answer. `None` until the status is decided.
    pub status: Option<u16>,
    /// The name of the exception, such as `ThrottlingException`, if the call failed before the
    /// answer began.
    pub error_code: Option<String>,
    /// The number of frames of the answer that were passed to the connection.
    pub events_sent: u64,
    /// How the call ended. `None` while it is running.
    pub end: Option<End>,
}

impl Call {
    /// Returns the first header with this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The whole answer was sent. This includes errors that the request caused.
    Completed,
    /// The client disconnected before the end.
    ClientGone,
    /// A requested fault ended the call.
    Faulted,
}

impl End {
    /// Returns the name that the control API uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::ClientGone => "ClientGone",
            Self::Faulted => "Faulted",
        }
    }
}

/// The log of the most recent calls. Tests can wait for the outcome of a call.
#[derive(Debug)]
pub(super) struct CallLog {
    kept: Mutex<Kept>,
    changes: watch::Sender<u64>,
    keep: usize,
}

#[derive(Debug, Default)]
struct Kept {
    /// The calls, in the order of their IDs without gaps.
    calls: VecDeque<Call>,
    body_bytes: usize,
    last_id: u64,
}

impl CallLog {
    pub(super) fn new(keep: usize) -> Arc<Self> {
        Arc::new(Self {
            kept: Mutex::default(),
            changes: watch::Sender::new(0),
            keep,
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a call and sets its ID.
    pub(super) fn begin(self: &Arc<Self>, mut call: Call) -> Record {
        let mut kept = self.kept();
        kept.last_id += 1;
        call.id = kept.last_id;
        let id = call.id;
        kept.body_bytes += call.body.len();
        kept.calls.push_back(call);
        while kept.calls.len() > self.keep.max(1)
            || (kept.body_bytes > KEEP_BODY_BYTES && kept.calls.len() > 1)
        {
            if let Some(forgotten) = kept.calls.pop_front() {
                kept.body_bytes -= forgotten.body.len();
            }
        }
        drop(kept);
        self.changes.send_modify(|n| *n += 1);
        Record {
            log: Arc::clone(self),
            id,
            lease: None,
            ended: false,
        }
    }

    fn update(&self, id: u64, change: impl FnOnce(&mut Call)) {
        let mut kept = self.kept();
        let first = kept.calls.front().map_or(u64::MAX, |call| call.id);
        let index = id.checked_sub(first).and_then(|i| usize::try_from(i).ok());
        if let Some(call) = index.and_then(|i| kept.calls.get_mut(i)) {
            change(call);
        }
        drop(kept);
        self.changes.send_modify(|n| *n += 1);
    }

    pub(super) fn snapshot(&self) -> Vec<Call> {
        self.kept().calls.iter().cloned().collect()
    }

    /// Removes all calls. Calls that are running now are not added again.
    pub(super) fn clear(&self) {
        let mut kept = self.kept();
        kept.calls.clear();
        kept.body_bytes = 0;
        drop(kept);
        self.changes.send_modify(|n| *n += 1);
    }

    pub(super) async fn wait_for(&self, mut enough: impl FnMut(&[Call]) -> bool) -> Vec<Call> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            let calls = self.snapshot();
            // The sender exists as long as `self`, so `changed()` cannot fail.
            if enough(&calls) || changes.changed().await.is_err() {
                return calls;
            }
        }
    }
}

/// The log entry of a running call. If it is dropped before the end of the call is recorded, the
/// client has disconnected.
#[derive(Debug)]
pub(super) struct Record {
    log: Arc<CallLog>,
    id: u64,
    lease: Option<Lease>,
    ended: bool,
}

impl Record {
    /// Records the status of the answer.
    pub(super) fn answered(&self, status: u16) {
        self.log.update(self.id, |call| call.status = Some(status));
    }

    /// Records that the answer is this error.
    pub(super) fn refused(&self, code: &str) {
        let code = Some(code.to_owned());
        self.log.update(self.id, |call| call.error_code = code);
    }

    /// Records the project that the call names.
    pub(super) fn names(&self, project: Option<&str>) {
        if let Some(project) = project {
            let project = Some(project.to_owned());
            self.log.update(self.id, |call| call.project = project);
        }
    }

    /// Records the Region that serves the call.
    pub(super) fn served_in(&self, region: &str) {
        let region = Some(region.to_owned());
        self.log
            .update(self.id, |call| call.inference_region = region);
    }

    /// Records that further frames were passed to the connection.
    pub(super) fn sent(&self, events: u64) {
        self.log.update(self.id, |call| call.events_sent += events);
    }

    /// Holds the capacity and the part of the quota that the call uses, until the call ends.
    pub(super) fn hold(&mut self, lease: Option<Lease>) {
        self.lease = lease;
    }

    /// Records the end of the call. Only the first end is recorded.
    pub(super) fn end(&mut self, end: End) {
        // The quota is corrected first, so that it is right when other threads see the end.
        drop(self.lease.take());
        if !std::mem::replace(&mut self.ended, true) {
            self.log.update(self.id, |call| call.end = Some(end));
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.end(End::ClientGone);
    }
}
