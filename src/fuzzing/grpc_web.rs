//! Receives requests over gRPC and gRPC-Web, and sends responses.

use std::{
    cell::RefCell,
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::BodyExt as _;
use prometheus_client::metrics::counter::Counter;
use tonic::{Status, body::Body};
use tonic_web::GrpcWebLayer;
use tower::{ServiceExt as _, service_fn};
use tower_layer::Layer as _;

use super::input::{Input, chunks};
use crate::{
    bounds::{ShareOwner, Shares, Stop},
    config::Limits,
    error::Reason,
    grpc::{Receiver, decode_message},
    pb::InvokeRequest,
};

/// The result of receiving a request: the message, or the reason why it is refused.
type Received = Result<InvokeRequest, Reason>;

thread_local! {
    static RUNTIME: RefCell<Option<Rc<tokio::runtime::Runtime>>> = const { RefCell::new(None) };
}

/// The first two bytes: how the body is split, and whether its end is known with its last chunk.
/// The rest is the body of a gRPC request.
pub fn grpc_web(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (seed, flags) = (u64::from(input.byte()), input.byte());
    let body = input.rest();
    let whole = over("application/grpc", vec![body], false);

    // The outcome does not depend on the protocol or on how the body is grouped.
    for knows_end in [false, true] {
        let outcome = over("application/grpc", chunks(body, seed), knows_end);
        assert_eq!(outcome, whole);
        let outcome = over("application/grpc-web+proto", chunks(body, seed), knows_end);
        assert_eq!(outcome, whole);
        let text = STANDARD.encode(body);
        let split = chunks(text.as_bytes(), seed);
        let outcome = over("application/grpc-web-text", split, knows_end);
        assert_eq!(outcome, whole);
    }

    // Text that is not base64 is refused, however it is grouped. Of several mistakes, the first one
    // that is read counts. Padding is accepted only at the end of the text. tonic-web also accepts
    // a padded chunk in the middle, if the chunk is read alone.
    if flags.is_multiple_of(2) && !body.contains(&b'=') {
        let whole = over("application/grpc-web-text", vec![body], false);
        for knows_end in [false, true] {
            let outcome = over("application/grpc-web-text", chunks(body, seed), knows_end);
            assert_eq!(outcome.ok(), whole.as_ref().ok().cloned(), "{knows_end}");
        }
    }
    response(body, seed);
}

/// Sends a request to a service that receives a message as inference does.
fn over(content_type: &'static str, chunks: Vec<&[u8]>, knows_end: bool) -> Received {
    let received: Arc<Mutex<Option<Received>>> = Arc::default();
    let result = Arc::clone(&received);
    let service = service_fn(move |request: Request<Body>| {
        let result = Arc::clone(&result);
        async move {
            let (parts, body) = request.into_parts();
            let outcome = receive(&parts.headers, body).await;
            if let Ok(mut result) = result.lock() {
                *result = Some(outcome);
            }
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    let request = request(content_type, ChunkedBody::new(chunks, knows_end));
    block_on(async {
        let service = GrpcWebLayer::new().layer(service);
        let _response = service.oneshot(request).await;
    });
    let outcome = received.lock().ok().and_then(|mut outcome| outcome.take());
    outcome.expect("the service was called")
}

fn request(content_type: &'static str, body: ChunkedBody) -> Request<Body> {
    let mut request = Request::new(Body::new(body));
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    request
}

async fn receive(headers: &HeaderMap, body: Body) -> Received {
    let limits = Limits {
        max_request_size: 64 << 10,
        ..Limits::default()
    };
    let memory = Shares::new("memory", 16 << 20, Counter::default());
    let receiver = Receiver {
        limits: &limits,
        memory: &memory,
        place: None,
        peer: ShareOwner::default(),
    };
    let received = match receiver.receive(headers, body).await {
        Ok(received) => received,
        Err(failure) => {
            assert_eq!(memory.used(), 0, "a refused request holds memory");
            return Err(failure.reason);
        }
    };
    let decoded = decode_message(
        "bedrock.inference.v1.InvokeRequest",
        received,
        &limits,
        &Stop::never(),
    );
    let outcome = match decoded {
        Ok((message, _footprint)) => Ok(message),
        Err(failure) => Err(failure.reason),
    };
    assert_eq!(memory.used(), 0, "a request that has ended holds memory");
    outcome
}

/// A response is the same over gRPC-Web: its bytes, then a frame with the trailers.
fn response(body: &[u8], seed: u64) {
    let chunked: Vec<_> = chunks(body, seed).into_iter().map(<[u8]>::to_vec).collect();
    for content_type in ["application/grpc-web+proto", "application/grpc-web-text"] {
        let chunked = chunked.clone();
        let service = service_fn(move |_: Request<Body>| {
            let mut body = ChunkedBody::new(chunked.iter().map(Vec::as_slice).collect(), false);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            body.trailers = Some(trailers);
            async move { Ok::<_, Infallible>(Response::new(Body::new(body))) }
        });
        let mut request = request(content_type, ChunkedBody::new(Vec::new(), true));
        let accepted = HeaderValue::from_static(content_type);
        request.headers_mut().insert(http::header::ACCEPT, accepted);
        let frames = block_on(async {
            let service = GrpcWebLayer::new().layer(service);
            let Ok(response) = service.oneshot(request).await;
            let mut body = response.into_body();
            let mut frames = Vec::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.expect("the service sent no error");
                frames.push(frame.into_data().expect("gRPC-Web has only data"));
            }
            frames
        });
        let mut sent = Vec::new();
        for frame in frames {
            if content_type == "application/grpc-web-text" {
                sent.extend(STANDARD.decode(&frame).expect("base64"));
            } else {
                sent.extend_from_slice(&frame);
            }
        }
        let trailers = sent.split_off(body.len());
        assert_eq!(sent, body);
        let (head, text) = trailers.split_at(5);
        assert_eq!(head[0], 0x80);
        assert_eq!(head[1..], u32::to_be_bytes(text.len() as u32));
        assert_eq!(text, b"grpc-status:0\r\n");
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = RUNTIME.with_borrow_mut(|runtime| {
        let runtime = runtime.get_or_insert_with(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build();
            Rc::new(runtime.expect("a runtime"))
        });
        Rc::clone(runtime)
    });
    runtime.block_on(future)
}

/// A body of chunks. The end of some bodies is known when the last chunk arrives, as with a
/// `content-length`.
struct ChunkedBody {
    chunks: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    knows_end: bool,
}

impl ChunkedBody {
    fn new(chunks: Vec<&[u8]>, knows_end: bool) -> Self {
        Self {
            chunks: chunks.into_iter().map(Bytes::copy_from_slice).collect(),
            trailers: None,
            knows_end,
        }
    }
}

impl http_body::Body for ChunkedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let next = self.chunks.pop_front().map(Frame::data);
        let next = next.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(next.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.knows_end && self.chunks.is_empty() && self.trailers.is_none()
    }
}
