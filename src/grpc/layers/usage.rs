//! Completes the usage record of a call with the status that its client receives. This is necessary
//! because services do not report calls that a layer refused.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::{Status, body::Body};
use tonic_types::StatusExt;

use crate::{error::Reason, grpc::status, telemetry::usage::OpenRecord};

/// Records the status of a response that has no body. For other responses, it is recorded from the
/// trailers.
pub(super) fn recorded(response: Response<Body>, record: Option<OpenRecord>) -> Response<Body> {
    let Some(record) = record else {
        return response;
    };
    if record_status(&record, response.headers()) {
        return response;
    }
    response.map(|inner| Body::new(RecordedBody { inner, record }))
}

/// Polls on behalf of a call. If the poll panics, the outcome in the record is INTERNAL.
pub(super) fn watched<T>(record: Option<&OpenRecord>, poll: impl FnOnce() -> T) -> T {
    let _guard = record.map(PanicGuard);
    poll()
}

struct PanicGuard<'a>(&'a OpenRecord);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end("INTERNAL", Reason::Panic.as_str());
        }
    }
}

/// Records the status in headers or trailers. Returns whether they contain a status.
fn record_status(record: &OpenRecord, headers: &HeaderMap) -> bool {
    let Some(status) = Status::from_header_map(headers) else {
        return false;
    };
    let info = status.get_details_error_info();
    let reason = info.map(|info| info.reason).unwrap_or_default();
    record.end(status::name(status.code()), &reason);
    true
}

/// A response body whose trailers contain the status.
struct RecordedBody {
    inner: Body,
    record: OpenRecord,
}

impl HttpBody for RecordedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let inner = Pin::new(&mut this.inner);
        let polled = watched(Some(&this.record), || inner.poll_frame(cx));
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            record_status(&this.record, trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
