//! How many calls of models may be open at once in this process.
//!
//! A place is taken before anything of the request's message is read, and held until the response's
//! body has ended. tonic's and tower's limits give theirs back with the response's head, which
//! bounds nothing that streams.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    error::{Failure, Reason},
    grpc::{context::CallContext, status},
    stream::Watchdog,
    telemetry::Metrics,
};

/// Everything else is small, and has to work when the gateway is full: health, reflection, targets.
const LIMITED: &str = "/bedrock.inference.v1.InferenceService/";

/// The places of a process. Cheap to clone; all clones share them.
#[derive(Clone, Debug)]
pub struct Admission {
    places: Arc<Semaphore>,
    total: usize,
    metrics: Arc<Metrics>,
}

impl Admission {
    /// So many places.
    pub fn new(places: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            total: places,
            metrics,
        }
    }

    fn enter<B>(&self, request: &Request<B>) -> Result<Option<OwnedSemaphorePermit>, Status> {
        if !request.uri().path().starts_with(LIMITED) {
            return Ok(None);
        }
        Arc::clone(&self.places)
            .try_acquire_owned()
            .map(Some)
            .map_err(|_| {
                self.metrics.refused.inc();
                let failure = Failure::new(
                    Reason::ReplicaSaturated,
                    format!(
                        "this replica serves {} calls already, as many as it may; try another one",
                        self.total
                    ),
                );
                let request_id = request
                    .extensions()
                    .get::<CallContext>()
                    .map_or("", |context| context.request_id.as_ref());
                status::status(&failure, &[], request_id)
            })
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

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self.admission.enter(&request) {
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
            place: Option<OwnedSemaphorePermit>,
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
                // Only whoever polls a future again that is ready comes here.
                None => Poll::Pending,
            },
        }
    }
}

/// A response body that holds its call's place, and what sees to it that it does not do so for
/// ever.
struct AdmittedBody {
    inner: Body,
    _place: Option<OwnedSemaphorePermit>,
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
