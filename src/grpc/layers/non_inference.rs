//! Limits calls that make no calls to Bedrock: health, reflection, targets. They are small and must
//! work when all slots are taken, so they have separate limits.
//!
//! Calls that stay open (health watches, reflection) use separate slots, which clients share. They
//! end when their connection should end, because otherwise they would keep it open without limit.
//! For all other calls, the whole request must arrive within the idle limit.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::{Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

use super::calls_bedrock::calls_bedrock;
use crate::{
    bounds::{Leaving, Share, ShareOwner, Shares},
    config::Limits,
    error::{Failure, Phase, Reason},
    grpc::{context::CallContext, status},
};

/// The methods whose calls stay open until the client ends them.
const STAYS_OPEN: [&str; 2] = ["/Watch", "/ServerReflectionInfo"];

#[derive(Clone, Debug)]
pub(super) struct NonInferenceLayer {
    /// The slots of calls that stay open.
    pub(super) watches: Shares,
}

#[derive(Clone, Debug)]
pub(super) struct NonInferenceService<S> {
    inner: S,
    layer: NonInferenceLayer,
}

impl<S> Layer<S> for NonInferenceLayer {
    type Service = NonInferenceService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        NonInferenceService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The resources of a call that stays open.
struct Watching {
    place: Share,
    request_id: Arc<str>,
    leaving: Option<Leaving>,
}

impl NonInferenceLayer {
    fn watch<B>(&self, request: &Request<B>) -> Result<Watching, Box<Status>> {
        let extensions = request.extensions();
        let request_id = extensions
            .get::<CallContext>()
            .map_or_else(|| Arc::from(""), |context| Arc::clone(&context.request_id));
        let place = self.watches.take(ShareOwner::of(extensions), 1).map_err(|_| {
            let failure = Failure::new(
                Reason::ReplicaSaturated,
                "this replica already has the maximum number of open watches (limits.max_watches); retry on another replica",
            );
            Box::new(status::status(&failure, &[], &request_id))
        })?;
        Ok(Watching {
            place,
            request_id,
            leaving: extensions.get::<Leaving>().cloned(),
        })
    }
}

impl<S> Service<Request<Body>> for NonInferenceService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = NonInferenceFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if calls_bedrock(path) {
            return NonInferenceFuture::Runs {
                inner: self.inner.call(request),
                watching: None,
            };
        }
        if STAYS_OPEN.iter().any(|method| path.ends_with(method)) {
            return match self.layer.watch(&request) {
                Ok(watching) => NonInferenceFuture::Runs {
                    inner: self.inner.call(request),
                    watching: Some(watching),
                },
                Err(status) => NonInferenceFuture::Refused {
                    response: Some(status.into_http()),
                },
            };
        }
        // If there is no context, as in tests of this layer alone, the default applies.
        let context = request.extensions().get::<CallContext>();
        let limit = context.map_or_else(
            || Limits::default().receive_idle,
            |context| context.generation.limits.receive_idle,
        );
        let limit = sleep(limit);
        let request = request.map(|inner| {
            Body::new(QuickBody {
                inner,
                limit: Box::pin(limit),
            })
        });
        NonInferenceFuture::Runs {
            inner: self.inner.call(request),
            watching: None,
        }
    }
}

pin_project! {
    #[project = NonInferenceFutureProjection]
    pub(super) enum NonInferenceFuture<F> {
        Runs {
            #[pin]
            inner: F,
            watching: Option<Watching>,
        },
        Refused {
            response: Option<Response<Body>>,
        },
    }
}

impl<F, E> Future for NonInferenceFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            NonInferenceFutureProjection::Runs { inner, watching } => {
                inner.poll(cx).map_ok(|response| match watching.take() {
                    None => response,
                    Some(watching) => {
                        response.map(|inner| Body::new(WatchBody::new(inner, watching)))
                    }
                })
            }
            NonInferenceFutureProjection::Refused { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                // This is reached only if the future is polled after it has ended.
                None => Poll::Pending,
            },
        }
    }
}

/// A request body that must end within a time limit.
struct QuickBody {
    inner: Body,
    limit: Pin<Box<Sleep>>,
}

impl HttpBody for QuickBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        this.limit.as_mut().poll(cx).map(|()| {
            Some(Err(Status::aborted(
                "the request was not complete within limits.receive_idle; send it faster",
            )))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response body that holds a slot. It ends when its connection should end, or when its slot is
/// given to another client.
struct WatchBody {
    inner: Body,
    _place: Share,
    request_id: Arc<str>,
    leaving: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    taken_back: Pin<Box<WaitForCancellationFutureOwned>>,
    over: bool,
}

impl WatchBody {
    fn new(inner: Body, watching: Watching) -> Self {
        Self {
            inner,
            taken_back: Box::pin(watching.place.token().cancelled_owned()),
            _place: watching.place,
            request_id: watching.request_id,
            leaving: watching
                .leaving
                .map(|leaving| Box::pin(leaving.token().clone().cancelled_owned())),
            over: false,
        }
    }
}

impl HttpBody for WatchBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let leaving = this
            .leaving
            .as_mut()
            .is_some_and(|leaving| leaving.as_mut().poll(cx).is_ready());
        if !leaving && this.taken_back.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.over = true;
        let failure = Failure::new(
            Reason::Draining,
            "the connection of this watch is ending; open the watch again on another connection",
        )
        .in_phase(Phase::MidStream);
        let mut trailers = HeaderMap::new();
        // This fails only for invalid header values, and the status table has only valid ones.
        let _written = status::status(&failure, &[], &this.request_id).add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
