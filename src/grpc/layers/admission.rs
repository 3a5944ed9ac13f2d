//! Admits calls that make calls to Bedrock: limits how many may be open at once in this process.
//!
//! A call gets a slot before its message is read, and holds the slot until the response's body has
//! ended. The limits of tonic and tower release a slot when the response headers are sent, so they
//! do not limit streams.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

use super::calls_bedrock::calls_bedrock;
use crate::{
    bounds::{self, Share, ShareOwner, Shares},
    error::{Failure, Reason},
    grpc::{context::CallContext, status},
    stream::Watchdog,
    telemetry::{Metrics, metrics::LimitedResource},
};

/// The slots of a process. Cheap to clone. All clones share the slots.
#[derive(Clone, Debug)]
pub struct Admission {
    places: Shares,
    watches: Shares,
}

impl Admission {
    /// Creates slots for this many calls to models, and for this many other calls that stay open.
    pub fn new(places: usize, watches: usize, metrics: &Metrics) -> Self {
        let what = LimitedResource { what: "watches" };
        let refused_watches = metrics.limited.get_or_create_owned(&what);
        Self {
            places: Shares::new("open calls", places, metrics.refused.clone()),
            watches: Shares::new("watches", watches, refused_watches),
        }
    }

    /// Changes the numbers of slots. Calls that have a slot keep it.
    pub fn set_totals(&self, places: usize, watches: usize) {
        self.places.set_total(places);
        self.watches.set_total(watches);
    }

    /// Returns the slots of other calls that stay open.
    pub(super) fn watches(&self) -> Shares {
        self.watches.clone()
    }

    /// Takes a slot and records it in the request. Until the request's message is complete, the
    /// slot can be given to another client that holds fewer slots.
    fn enter<B>(&self, request: &mut Request<B>) -> Result<Option<Arc<Share>>, Status> {
        if !calls_bedrock(request.uri().path()) {
            return Ok(None);
        }
        let peer = ShareOwner::of(request.extensions());
        match self.places.take(peer, 1) {
            Ok(place) => {
                let place = Arc::new(place);
                request.extensions_mut().insert(Arc::clone(&place));
                Ok(Some(place))
            }
            Err(limited) => {
                let message = match limited {
                    bounds::Limited::Full => format!(
                        "this replica already serves its maximum of {} calls; retry on another replica",
                        self.places.total()
                    ),
                    bounds::Limited::Share => {
                        "this client already uses its share of this replica's calls, and other clients are waiting; retry on another replica"
                            .to_owned()
                    }
                };
                let failure = Failure::new(Reason::ReplicaSaturated, message);
                let request_id = request
                    .extensions()
                    .get::<CallContext>()
                    .map_or("", |context| context.request_id.as_ref());
                Err(status::status(&failure, &[], request_id))
            }
        }
    }
}

impl<S> Layer<S> for Admission {
    type Service = AdmissionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AdmissionService {
            inner,
            admission: self.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct AdmissionService<S> {
    inner: S,
    admission: Admission,
}

impl<S, B> Service<Request<B>> for AdmissionService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = AdmissionFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.admission.enter(&mut request) {
            Ok(place) => AdmissionFuture::Admitted {
                inner: self.inner.call(request),
                place,
            },
            Err(status) => AdmissionFuture::Refused {
                response: Some(status.into_http()),
            },
        }
    }
}

pin_project! {
    #[project = AdmissionFutureProjection]
    pub enum AdmissionFuture<F> {
        Admitted {
            #[pin]
            inner: F,
            place: Option<Arc<Share>>,
        },
        Refused {
            response: Option<Response<Body>>,
        },
    }
}

impl<F, E> Future for AdmissionFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AdmissionFutureProjection::Admitted { inner, place } => {
                inner.poll(cx).map_ok(|mut response| {
                    let (place, watchdog) = (place.take(), response.extensions_mut().remove());
                    response.map(|inner| {
                        Body::new(AdmittedBody {
                            inner,
                            _place: place,
                            _watchdog: watchdog,
                        })
                    })
                })
            }
            AdmissionFutureProjection::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // This is reached only if the future is polled after it has ended.
                None => Poll::Pending,
            },
        }
    }
}

/// A response body that holds the slot of its call, and the watchdog that ends the call if the
/// client does not read.
struct AdmittedBody {
    inner: Body,
    _place: Option<Arc<Share>>,
    _watchdog: Option<Watchdog>,
}

impl HttpBody for AdmittedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.get_mut().inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
