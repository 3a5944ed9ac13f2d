//! Identifies the caller before the message is read. Rejects calls that need an identity and have
//! none.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{non_inference::INFERENCE, rate_limits};
use crate::{
    access::{Answer, Claimed, Gate, Identity, Peer, Rejection},
    error::Failure,
    grpc::{context::CallContext, permission, status},
};

type Verdict = Result<std::sync::Arc<Claimed>, Rejection>;
type Later = Pin<Box<dyn Future<Output = Verdict> + Send>>;

#[derive(Clone, Debug)]
pub(super) struct IdentityLayer {
    pub(super) gate: Gate,
}

#[derive(Clone, Debug)]
pub(super) struct IdentityService<S> {
    inner: S,
    gate: Gate,
}

impl<S> Layer<S> for IdentityLayer {
    type Service = IdentityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdentityService {
            inner,
            gate: self.gate.clone(),
        }
    }
}

impl<S, B> Service<Request<B>> for IdentityService<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = IdentityFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if self.gate.is_open() {
            return IdentityFuture::Passed {
                inner: self.inner.call(request),
            };
        }
        let peer = request.extensions().get::<Peer>();
        let answer = self
            .gate
            .judge(request.uri().path(), request.headers(), peer);
        match answer {
            Answer::Pass(identity) => match identify(&mut request, identity) {
                Ok(()) => IdentityFuture::Passed {
                    inner: self.inner.call(request),
                },
                Err(failure) => IdentityFuture::refused(&request, &failure),
            },
            Answer::Refuse(refused) => IdentityFuture::refused(&request, &refused.failure()),
            Answer::Later(verdict) => {
                // The service that is ready must be called, and its clone replaces it.
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                IdentityFuture::Verifying {
                    verdict,
                    waiting: Some((ready, self.gate.clone(), request)),
                }
            }
        }
    }
}

/// Adds the caller to the call's context.
///
/// # Errors
/// Fails if the caller may not use the method. Calls of inference are checked where they are
/// counted.
fn identify<B>(request: &mut Request<B>, identity: Option<Identity>) -> Result<(), Failure> {
    if !request.uri().path().starts_with(INFERENCE) {
        permission::check_path(identity.as_ref(), request.uri().path())?;
    }
    if let Some(context) = request.extensions_mut().get_mut::<CallContext>() {
        context.caller = identity;
    }
    Ok(())
}

pin_project! {
    #[project = IdentityFutureProjection]
    pub(super) enum IdentityFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        Passed {
            #[pin]
            inner: S::Future,
        },
        Verifying {
            verdict: Later,
            waiting: Option<(S, Gate, Request<B>)>,
        },
        Refused {
            response: Option<Response<Body>>,
        },
    }
}

impl<S, B> IdentityFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn refused(request: &Request<B>, failure: &Failure) -> Self {
        let request_id = request
            .extensions()
            .get::<CallContext>()
            .map_or("", |context| context.request_id.as_ref());
        Self::Refused {
            response: Some(status::status(failure, &[], request_id).into_http()),
        }
    }
}

impl<S, B> Future for IdentityFuture<S, B>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Output = Result<Response<Body>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                IdentityFutureProjection::Passed { inner } => {
                    return inner.poll(cx).map_ok(rate_limits::told);
                }
                IdentityFutureProjection::Refused { response } => {
                    return match response.take() {
                        Some(response) => Poll::Ready(Ok(response)),
                        // Reached only if a completed future is polled again.
                        None => Poll::Pending,
                    };
                }
                IdentityFutureProjection::Verifying { verdict, waiting } => {
                    let verdict = ready!(verdict.as_mut().poll(cx));
                    let Some((mut service, gate, mut request)) = waiting.take() else {
                        return Poll::Pending;
                    };
                    let peer = request.extensions().get::<Peer>();
                    match gate.settle(verdict, request.uri().path(), peer) {
                        Answer::Refuse(refused) => Self::refused(&request, &refused.failure()),
                        Answer::Pass(identity) => match identify(&mut request, identity) {
                            Ok(()) => Self::Passed {
                                inner: service.call(request),
                            },
                            Err(failure) => Self::refused(&request, &failure),
                        },
                        // `settle` never waits.
                        Answer::Later(_) => return Poll::Pending,
                    }
                }
            };
            self.set(next);
        }
    }
}
