//! Defines a received and logged request, and ways to answer it immediately.

use bytes::Bytes;
use http::{Response, request::Parts};
use http_body_util::{Either, Full};

use super::{
    calls::{End, Record},
    error::WireError,
    playback::{Broken, Playback, ResetSwitch, abort},
    regions::Outage,
    sessions::Principal,
    uri::Operation,
};

/// The body of a response. It is sent as a whole or played step by step.
pub(super) type Answer = Response<Either<Full<Bytes>, Playback>>;

/// A received and logged request.
pub(super) struct Asked {
    pub(super) parts: Parts,
    pub(super) body: Bytes,
    pub(super) region: String,
    pub(super) operation: Operation,
    /// Completes when the Region of the call goes down, which ends the call.
    pub(super) outage: Outage,
    pub(super) reset: ResetSwitch,
    /// The principal that signed the request.
    pub(super) principal: Principal,
}

/// Returns a complete answer, and ends the call.
pub(super) fn complete(response: Response<Full<Bytes>>, mut record: Record) -> Answer {
    record.answered(response.status().as_u16());
    record.end(End::Completed);
    response.map(Either::Left)
}

/// Returns an error that the request caused.
pub(super) fn refuse(error: &WireError, record: Record) -> Answer {
    record.refused(error.code);
    complete(error.response(), record)
}

/// Sends nothing until the client disconnects or the call's Region goes down.
pub(super) async fn stall(asked: Asked, mut record: Record) -> Broken {
    asked.outage.await;
    abort(&asked.reset, &mut record)
}
