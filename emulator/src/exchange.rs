//! A request that was read and logged, and the ways to answer it at once.

use bytes::Bytes;
use http::{Response, request::Parts};
use http_body_util::{Either, Full};

use super::{
    calls::{End, Record},
    error::WireError,
    playback::{Broken, Playback, ResetSwitch, break_off},
    regions::Outage,
    uri::Operation,
};

/// An answer's body: whole, or played.
pub(super) type Answer = Response<Either<Full<Bytes>, Playback>>;

/// A request that was read and logged.
pub(super) struct Asked {
    pub(super) parts: Parts,
    pub(super) body: Bytes,
    pub(super) region: String,
    pub(super) operation: Operation,
    /// What breaks the call off when its Region goes down.
    pub(super) outage: Outage,
    pub(super) reset: ResetSwitch,
}

/// A whole answer, and the call's end.
pub(super) fn complete(response: Response<Full<Bytes>>, mut record: Record) -> Answer {
    record.answered(response.status().as_u16());
    record.end(End::Completed);
    response.map(Either::Left)
}

/// An error that the request deserves.
pub(super) fn refuse(error: &WireError, record: Record) -> Answer {
    record.refused(error.code);
    complete(error.response(), record)
}

/// Silence until the client leaves, or the call's Region goes down.
pub(super) async fn stall(asked: Asked, mut record: Record) -> Broken {
    asked.outage.await;
    break_off(&asked.reset, &mut record)
}
