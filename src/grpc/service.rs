//! Serves `InferenceService` over HTTP: selects the method, and writes its answer.
//!
//! tonic generates such a service, too, but that one uses tonic's decoder, whose memory and time
//! this gateway cannot limit; see `receive`.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use prost::Message;
use tonic::{
    Status,
    body::Body,
    codec::{Codec, EncodeBody, SingleMessageCompressionOverride},
    server::NamedService,
};
use tower_service::Service;

use super::{inference::Inference, prepare::Method};
use crate::{
    pb,
    stream::{RateLimits, Watchdog},
};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The HTTP service for `InferenceService`. Cheap to clone.
#[derive(Clone)]
pub(super) struct InferenceServer(Arc<Inference>);

impl InferenceServer {
    pub(super) fn new(inference: Inference) -> Self {
        Self(Arc::new(inference))
    }
}

impl NamedService for InferenceServer {
    const NAME: &'static str = "bedrock.inference.v1.InferenceService";
}

impl Service<Request<Body>> for InferenceServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = match request.uri().path().rsplit('/').next() {
            Some("Invoke") => Method::Invoke,
            Some("StreamInvoke") => Method::StreamInvoke,
            Some("CountTokens") => Method::CountTokens,
            // The layer outside reports the unknown method.
            _ => return Box::pin(ready(Ok(Status::unimplemented("").into_http()))),
        };
        let inference = Arc::clone(&self.0);
        Box::pin(async move {
            let response = match method {
                Method::Invoke => {
                    inference
                        .invoke(request)
                        .await
                        .map(|(message, watchdog, limits)| {
                            let only = futures_util::stream::once(ready(Ok(message)));
                            response(only, watchdog, limits)
                        })
                }
                Method::CountTokens => {
                    inference
                        .count_tokens(request)
                        .await
                        .map(|(message, watchdog, limits)| {
                            let only = futures_util::stream::once(ready(Ok(message)));
                            response(only, watchdog, limits)
                        })
                }
                Method::StreamInvoke => inference
                    .stream_invoke(request)
                    .await
                    .map(|(messages, watchdog, limits)| response(messages, watchdog, limits)),
            };
            Ok(response.unwrap_or_else(Status::into_http))
        })
    }
}

/// Returns a response with these messages as its body. They are never compressed, because a
/// compressor would delay tokens.
fn response<T: Message + 'static>(
    messages: impl Stream<Item = Result<T, Status>> + Send + 'static,
    watchdog: Watchdog,
    limits: Option<RateLimits>,
) -> Response<Body> {
    let encoder = pb::Codec::<T, ()>::default().encoder();
    let body = EncodeBody::new_server(
        encoder,
        messages,
        None,
        SingleMessageCompressionOverride::default(),
        None,
    );
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response.extensions_mut().insert(watchdog);
    if let Some(limits) = limits {
        response.extensions_mut().insert(limits);
    }
    response
}
