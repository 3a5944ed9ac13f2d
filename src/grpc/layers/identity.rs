//! Identifies the caller before the message is read. Rejects calls that need an identity but have
//! none.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{calls_bedrock::calls_bedrock, rate_limits, usage};
use crate::{
    access::{Allowed, ClaimedCaller, Gate, GateDecision, Peer, Rejection},
    error::Failure,
    grpc::{Generation, context::CallContext, permission, status},
    telemetry::{
        UsageRecords,
        usage::{Identified, OpenRecord},
    },
};

type Verdict = Result<Arc<ClaimedCaller>, Rejection>;
type Later = Pin<Box<dyn Future<Output = Verdict> + Send>>;

#[derive(Clone, Debug)]
pub(super) struct IdentityLayer {
    pub(super) gate: Gate,
    pub(super) records: UsageRecords,
}

#[derive(Clone, Debug)]
pub(super) struct IdentityService<S> {
    inner: S,
    gate: Gate,
    records: UsageRecords,
}

impl<S> Layer<S> for IdentityLayer {
    type Service = IdentityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdentityService {
            inner,
            gate: self.gate.clone(),
            records: self.records.clone(),
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
        let rules = |request: &Request<B>| {
            let context = request.extensions().get::<CallContext>()?;
            (!context.generation.rules.need_no_check()).then(|| Arc::clone(&context.generation))
        };
        let Some(generation) = rules(&request) else {
            return IdentityFuture::Passed {
                inner: self.inner.call(request),
                record: None,
            };
        };
        let peer = request.extensions().get::<Peer>();
        let answer = self.gate.judge(
            &generation.rules,
            request.uri().path(),
            request.headers(),
            peer,
        );
        match answer {
            GateDecision::Pass(allowed) => {
                let record = identify(&mut request, allowed, &self.records);
                match permitted(&request) {
                    Ok(()) => IdentityFuture::Passed {
                        inner: usage::watched(record.as_ref(), || self.inner.call(request)),
                        record,
                    },
                    Err(failure) => IdentityFuture::refused(&request, &failure),
                }
            }
            GateDecision::Refuse(refused) => IdentityFuture::refused(&request, &refused.failure()),
            GateDecision::Later(verdict) => {
                // Only the original service has been polled until it was ready. So it makes the
                // call, and a clone takes its place for later calls.
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                IdentityFuture::Verifying {
                    verdict,
                    waiting: Some((
                        ready,
                        (self.gate.clone(), self.records.clone()),
                        generation,
                        request,
                    )),
                }
            }
        }
    }
}

/// Adds the caller to the call's context, and begins its usage record.
fn identify<B>(
    request: &mut Request<B>,
    allowed: Allowed,
    records: &UsageRecords,
) -> Option<OpenRecord> {
    let uri = request.uri().clone();
    let context = request.extensions_mut().get_mut::<CallContext>()?;
    let Allowed {
        identity,
        revocation,
    } = allowed;
    context.record = identity.as_ref().and_then(|caller| {
        records.open(&Identified {
            request_id: &context.request_id,
            trace_id: &context.trace.trace_id,
            arrived: context.arrived,
            caller: caller.name(),
            groups: &caller.caller().groups,
            path: uri.path(),
        })
    });
    context.caller = identity;
    context.revocation = revocation;
    context.record.clone()
}

/// Checks whether the caller may use the method. Calls to Bedrock are checked later, where they are
/// also counted.
fn permitted<B>(request: &Request<B>) -> Result<(), Failure> {
    let path = request.uri().path();
    if calls_bedrock(path) {
        return Ok(());
    }
    let Some(context) = request.extensions().get::<CallContext>() else {
        return Ok(());
    };
    permission::check_path(&context.generation.rules, context.caller.as_ref(), path)
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
            record: Option<OpenRecord>,
        },
        Verifying {
            verdict: Later,
            waiting: Option<(S, (Gate, UsageRecords), Arc<Generation>, Request<B>)>,
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
        let context = request.extensions().get::<CallContext>();
        let request_id = context.map_or("", |context| context.request_id.as_ref());
        if let Some(record) = context.and_then(|context| context.record.as_ref()) {
            record.end(status::code_name(failure), failure.reason.as_str());
        }
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
                IdentityFutureProjection::Passed { inner, record } => {
                    let polled = usage::watched(record.as_ref(), || inner.poll(cx));
                    return polled.map_ok(|response| {
                        usage::recorded(rate_limits::told(response), record.take())
                    });
                }
                IdentityFutureProjection::Refused { response } => {
                    return match response.take() {
                        Some(response) => Poll::Ready(Ok(response)),
                        // This is reached only if the future is polled after it has ended.
                        None => Poll::Pending,
                    };
                }
                IdentityFutureProjection::Verifying { verdict, waiting } => {
                    let verdict = ready!(verdict.as_mut().poll(cx));
                    let Some((mut service, (gate, records), generation, mut request)) =
                        waiting.take()
                    else {
                        return Poll::Pending;
                    };
                    let peer = request.extensions().get::<Peer>();
                    match gate.settle(&generation.rules, verdict, request.uri().path(), peer) {
                        GateDecision::Refuse(refused) => {
                            Self::refused(&request, &refused.failure())
                        }
                        GateDecision::Pass(allowed) => {
                            let record = identify(&mut request, allowed, &records);
                            match permitted(&request) {
                                Ok(()) => Self::Passed {
                                    inner: service.call(request),
                                    record,
                                },
                                Err(failure) => Self::refused(&request, &failure),
                            }
                        }
                        // This does not happen, because `settle` never waits.
                        GateDecision::Later(_) => return Poll::Pending,
                    }
                }
            };
            self.set(next);
        }
    }
}
