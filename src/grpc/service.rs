//! Serves `InferenceService`, `GuardrailService` and `ModelService` over HTTP: selects the method,
//! and writes its answer.
//!
//! tonic also generates such services, but they use tonic's decoder, whose memory and time this
//! gateway cannot limit. See `receive`.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use prost::Message;
use tonic::{Status, body::Body, server::NamedService};
use tower_service::Service;

use super::{answer_memory::LatestRoom, inference::Inference, message_body::MessageBody};
use crate::{
    bounds::Share,
    stream::{AnswerThreads, RateLimits, Watchdog},
};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// The HTTP service for `InferenceService`. Cheap to clone.
#[derive(Clone)]
pub(super) struct InferenceServer(Arc<Inference>);

impl InferenceServer {
    pub(super) fn new(inference: Arc<Inference>) -> Self {
        Self(inference)
    }
}

impl NamedService for InferenceServer {
    const NAME: &'static str = "bedrock.inference.v1.InferenceService";
}

impl Service<Request<Body>> for InferenceServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        enum Called {
            Invoke,
            StreamInvoke,
            CountTokens,
        }
        let called = match method_name(&request) {
            Some("Invoke") => Called::Invoke,
            Some("StreamInvoke") => Called::StreamInvoke,
            Some("CountTokens") => Called::CountTokens,
            _ => return unimplemented(),
        };
        let inference = Arc::clone(&self.0);
        Box::pin(async move {
            let threads = inference.threads(&request);
            let response = match called {
                Called::Invoke => {
                    let answer = inference.invoke(request).await;
                    answer.map(|(message, watchdog, limits, held)| {
                        unary_holding((message, watchdog, limits), held.map(Arc::new), threads)
                    })
                }
                Called::CountTokens => {
                    let answer = inference.count_tokens(request).await;
                    answer.map(|answer| unary(answer, threads))
                }
                Called::StreamInvoke => inference.stream_invoke(request).await.map(
                    |(messages, watchdog, limits, rooms)| {
                        response(MessageBody::new(messages, rooms, threads), watchdog, limits)
                    },
                ),
            };
            Ok(response.unwrap_or_else(Status::into_http))
        })
    }
}

/// The HTTP service for `GuardrailService`. Cheap to clone.
#[derive(Clone)]
pub(super) struct GuardrailServer(Arc<Inference>);

impl GuardrailServer {
    pub(super) fn new(inference: Arc<Inference>) -> Self {
        Self(inference)
    }
}

impl NamedService for GuardrailServer {
    const NAME: &'static str = "bedrock.inference.v1.GuardrailService";
}

impl Service<Request<Body>> for GuardrailServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match method_name(&request) {
            Some("ApplyGuardrail") => {}
            _ => return unimplemented(),
        }
        let inference = Arc::clone(&self.0);
        Box::pin(async move {
            let threads = inference.threads(&request);
            let answer = inference.apply_guardrail(request).await;
            let response = answer.map(|(message, watchdog, limits, held)| {
                unary_holding((message, watchdog, limits), Some(held), threads)
            });
            Ok(response.unwrap_or_else(Status::into_http))
        })
    }
}

/// The HTTP service for `ModelService`. Cheap to clone.
#[derive(Clone)]
pub(super) struct ModelServer(Arc<Inference>);

impl ModelServer {
    pub(super) fn new(inference: Arc<Inference>) -> Self {
        Self(inference)
    }
}

impl NamedService for ModelServer {
    const NAME: &'static str = "bedrock.inference.v1.ModelService";
}

impl Service<Request<Body>> for ModelServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let streams = match method_name(&request) {
            Some("InvokeModel") => false,
            Some("StreamInvokeModel") => true,
            _ => return unimplemented(),
        };
        let inference = Arc::clone(&self.0);
        Box::pin(async move {
            let threads = inference.threads(&request);
            let response = if streams {
                let answer = inference.stream_invoke_model(request).await;
                answer.map(|(messages, watchdog, limits, rooms)| {
                    response(MessageBody::new(messages, rooms, threads), watchdog, limits)
                })
            } else {
                let answer = inference.invoke_model(request).await;
                answer.map(|(message, watchdog, limits, held)| {
                    unary_holding((message, watchdog, limits), Some(Arc::new(held)), threads)
                })
            };
            Ok(response.unwrap_or_else(Status::into_http))
        })
    }
}

fn method_name(request: &Request<Body>) -> Option<&str> {
    request.uri().path().rsplit('/').next()
}

/// Answers a call of an unknown method. An outer layer adds the details.
fn unimplemented() -> Answer {
    Box::pin(ready(Ok(Status::unimplemented("").into_http())))
}

/// Returns a response with one message.
fn unary<T: Message + 'static>(
    answer: (T, Watchdog, Option<RateLimits>),
    threads: AnswerThreads,
) -> Response<Body> {
    unary_holding(answer, None, threads)
}

/// Returns a response with one message, which holds memory until the body is dropped.
fn unary_holding<T: Message + 'static>(
    (message, watchdog, limits): (T, Watchdog, Option<RateLimits>),
    held: Option<Arc<Share>>,
    threads: AnswerThreads,
) -> Response<Body> {
    let rooms = held.as_ref().map(LatestRoom::of).unwrap_or_default();
    let only = futures_util::stream::once(ready(Ok(message)));
    let response = response(MessageBody::new(only, rooms, threads), watchdog, limits);
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _held = &held;
            frame
        }))
    })
}

/// Returns a response whose body consists of these messages. They are never compressed, because a
/// compressor would delay tokens.
fn response<T: Message + 'static>(
    body: MessageBody<impl Stream<Item = Result<T, Status>> + Send + 'static>,
    watchdog: Watchdog,
    limits: Option<RateLimits>,
) -> Response<Body> {
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response.extensions_mut().insert(watchdog);
    if let Some(limits) = limits {
        response.extensions_mut().insert(limits);
    }
    response
}
